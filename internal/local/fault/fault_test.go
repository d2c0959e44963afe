package fault_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modeldispatch/internal/local/ecs"
	"modeldispatch/internal/local/fault"
	"modeldispatch/internal/model"
)

var catalog = model.Catalog{Models: []model.Model{{Name: "sales-eu"}}}

func read(t *testing.T, text string) ([]fault.Fault, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), fault.File)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return fault.Read(file, catalog)
}

func TestFaultHappensWhenAllItsConditionsHold(t *testing.T) {
	t.Parallel()
	all, err := read(t, `
- { fault: capacity, model: sales-eu, capacity: spot }
- { fault: throttled, times: 2 }
- { fault: out-of-memory, below: 2048 }
`)
	if err != nil {
		t.Fatal(err)
	}
	f := fault.Faults(all)
	const ours, other = "local/sales-eu-aaaaaaaaaaaa/1", "local/sales-us-aaaaaaaaaaaa/1"
	for i, test := range []struct {
		asked ecs.LaunchRequest
		want  string
	}{
		{ecs.LaunchRequest{StartedBy: ours, CapacityProvider: "FARGATE_SPOT"}, "Capacity is unavailable"},
		{ecs.LaunchRequest{StartedBy: other, CapacityProvider: "FARGATE_SPOT"}, "Rate exceeded"},
		{ecs.LaunchRequest{StartedBy: ours, LaunchType: "FARGATE"}, "Rate exceeded"},
		{ecs.LaunchRequest{StartedBy: ours, LaunchType: "FARGATE"}, ""},
		{ecs.LaunchRequest{StartedBy: "by hand", LaunchType: "EC2"}, ""},
	} {
		got := f.RunTask(test.asked)
		if test.want == "" && got == nil {
			continue
		}
		if got == nil || test.want == "" || !strings.HasPrefix(got.Failure+got.Message, test.want) {
			t.Errorf("call %d: refusal %+v, want %q", i+1, got, test.want)
		}
	}
	for memory, want := range map[int]bool{512: true, 1024: true, 2048: false} {
		if end := f.Task(ecs.LaunchRequest{StartedBy: other, MemoryMiB: memory}); (end != nil) != want {
			t.Errorf("task with %d MiB: end %+v, want an end: %t", memory, end, want)
		}
	}
}

func TestInvalidFaultsAreErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[{ fault: oom }]`:                         `fault 1: unknown fault "oom"; the faults are capacity, interruption, out-of-memory`,
		`[{ fault: quota }, { fault: "" }]`:        `fault 2: unknown fault ""`,
		`[{ fault: quota, model: sales }]`:         `there is no model "sales"`,
		`[{ fault: quota, capacity: reserved }]`:   `unknown capacity "reserved"; the capacities are spot, on-demand, ec2, external`,
		`[{ fault: quota, times: 0 }]`:             `times must be at least 1`,
		`[{ fault: out-of-memory, memory: 1024 }]`: `unknown field "memory"`,
	} {
		if _, err := read(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
	if _, err := fault.Read(filepath.Join(t.TempDir(), "none.yaml"), catalog); err == nil {
		t.Error("reading a file that does not exist: no error")
	}
}
