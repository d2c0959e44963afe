package dispatch_test

import (
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// TestTheDefinitionDecidesOnTheNetwork of a task on EC2, in each attempt: ECS refuses a network
// configuration too many, and one too few.
func TestTheDefinitionDecidesOnTheNetwork(t *testing.T) {
	t.Parallel()
	for _, awsvpc := range []bool{false, true} {
		w := newWorld(t, func(m *model.Model) { m.Task.Capacity, m.Policy.Retry.Attempts = []model.Capacity{model.EC2}, 2 })
		w.aws.ECS.AWSVPC = awsvpc
		id := w.accept(t, "a.csv")
		for range 2 {
			w.launch(t)
			w.observe(t, w.aws.ECS.Exit(w.newest(), 1))
		}
		if n := len(w.aws.ECS.Tasks()); n != 2 {
			t.Errorf("awsvpc %t: %d tasks, want 2", awsvpc, n)
		}
		w.want(t, id, run.Failed, run.ModelError)
	}
}
