package dispatch_test

import (
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// TestDefinitionDecidesOnNetwork launches two attempts on EC2. ECS refuses a network configuration that does not fit
// the networkMode of the task definition, and a missing one.
func TestDefinitionDecidesOnNetwork(t *testing.T) {
	t.Parallel()
	for _, awsvpc := range []bool{false, true} {
		h := newHarness(t, func(m *model.Model) { m.Task.Capacity, m.Policy.Retry.Attempts = []model.Capacity{model.EC2}, 2 })
		h.aws.ECS.AWSVPC = awsvpc
		id := h.accept(t, "a.csv")
		for range 2 {
			h.launch(t)
			h.observe(t, h.aws.ECS.Exit(h.newestTask(), 1))
		}
		if n := len(h.aws.ECS.Tasks()); n != 2 {
			t.Errorf("awsvpc %t: %d tasks, want 2", awsvpc, n)
		}
		h.wantRun(t, id, run.Failed, run.ClassModelError)
	}
}
