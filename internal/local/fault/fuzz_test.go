package fault

import (
	"os"
	"testing"

	"modeldispatch/internal/local/ecs"
	"modeldispatch/internal/model"
)

// FuzzFaults checks that the hooks of any faults file that parse accepts do not panic.
func FuzzFaults(f *testing.F) {
	text, err := os.ReadFile("../../../events/life/faults.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("- { fault: capacity, capacity: spot, below: 1024, times: 1 }"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parse(text, model.Catalog{})
		if err != nil {
			return
		}
		hooks := Faults(all)
		_ = hooks.RunTask(ecs.LaunchRequest{StartedBy: "d/m-1/1", LaunchType: "FARGATE"})
		_ = hooks.Task(ecs.LaunchRequest{})
	})
}
