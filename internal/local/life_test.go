package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	awstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"modeldispatch/internal/local"
	"modeldispatch/internal/local/fault"
	"modeldispatch/internal/play"
	"modeldispatch/internal/run"
)

// playSample plays a project of the folder events, and returns the stack on which it was played. The events go through
// the stack's HTTP endpoint.
func playSample(t *testing.T, name string) *testStack {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the sample models are shell scripts: run this test on a Unix, or in WSL")
	}
	folder := filepath.Join("..", "..", "events", name)
	o, err := options(folder)
	if err != nil {
		t.Fatal(err)
	}
	o.Data = t.TempDir()
	if file := filepath.Join(folder, fault.File); exists(file) {
		faults, err := fault.Read(file, o.Catalog)
		if err != nil {
			t.Fatal(err)
		}
		o.Faults = fault.Faults(faults)
	}
	s := startWith(t, o)
	steps, err := play.ReadSteps(folder)
	if err != nil {
		t.Fatal(err)
	}
	err = play.Player{Stack: s.Stack, Catalog: o.Catalog, Folder: folder}.Play(t.Context(), steps, func(r play.StepResult) {
		if r.Difference != "" || r.LeftOut != "" {
			t.Errorf("%s: %s%s", r.Step.Name(), r.Difference, r.LeftOut)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// tasksOf returns the stopped tasks of a model's runs, as ECS describes them, sorted by startedBy.
func (s *testStack) tasksOf(t *testing.T, name string) []awstypes.Task {
	t.Helper()
	out, err := s.ecs.DescribeTasks(t.Context(), &awsecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: s.stoppedTasks(t)})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(out.Tasks, func(task awstypes.Task) bool {
		return !strings.HasPrefix(*task.StartedBy, local.Deployment+"/"+name+"-")
	})
	slices.SortFunc(all, func(a, b awstypes.Task) int { return strings.Compare(*a.StartedBy, *b.StartedBy) })
	return all
}

// runOf returns the only run of a model, in its last state.
func (s *testStack) runOf(t *testing.T, name string) run.Run {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.Model == name {
			return r
		}
	}
	t.Fatalf("model %s has no run", name)
	return run.Run{}
}

// TestRunLifecycle plays events/life, and checks the reaction to each kind of failure and the effect of each policy.
func TestRunLifecycle(t *testing.T) {
	t.Parallel()
	s := playSample(t, "life")
	var sizes, capacities []string
	for _, task := range s.tasksOf(t, "climbs") {
		sizes = append(sizes, *task.Memory+" "+aws.ToString(task.Containers[0].Reason))
	}
	const killed = " OutOfMemoryError: Container killed due to memory usage"
	if want := []string{"512" + killed, "1024" + killed, "2048 "}; !slices.Equal(sizes, want) {
		t.Errorf("the tasks of climbs had the sizes and reasons %q, want %q", sizes, want)
	}
	for _, task := range s.tasksOf(t, "returns") {
		capacities = append(capacities, fmt.Sprint(aws.ToString(task.CapacityProviderName), " ", task.LaunchType, " ", task.StopCode))
	}
	const interrupted = "FARGATE_SPOT FARGATE SpotInterruption"
	if want := []string{interrupted, interrupted, " FARGATE EssentialContainerExited"}; !slices.Equal(capacities, want) {
		t.Errorf("the tasks of returns ran on %q, want %q", capacities, want)
	}
	if tasks := s.tasksOf(t, "refused"); len(tasks) != 1 || tasks[0].CapacityProviderName != nil || s.runOf(t, "refused").Attempt != 2 {
		t.Errorf("the refused run had %d tasks and %d attempts, want 1 and 2", len(tasks), s.runOf(t, "refused").Attempt)
	}
	for name, want := range map[string]run.Class{"hangs": run.ClassTimedOut, "incomplete": run.ClassInputsMissing} {
		if r := s.runOf(t, name); r.Outcome == nil || r.Outcome.Class != want {
			t.Errorf("model %s ended with %v, want %s", name, r.Outcome, want)
		}
	}
	if detail := s.runOf(t, "incomplete").Outcome.Detail; !strings.Contains(detail, "s3://landing/never/a.csv") {
		t.Errorf("the detail does not name the missing object: %s", detail)
	}
	if r := s.runOf(t, "batches"); r.Joined != 9 {
		t.Errorf("%d files joined the run of the first file, want 9", r.Joined)
	}
	tasks := s.tasksOf(t, "one-at-a-time")
	if len(tasks) != 3 {
		t.Errorf("the model one-at-a-time has %d tasks, want 3", len(tasks))
	}
	slices.SortFunc(tasks, func(a, b awstypes.Task) int { return a.CreatedAt.Compare(*b.CreatedAt) })
	for i := range len(tasks) - 1 {
		if tasks[i+1].CreatedAt.Before(*tasks[i].ExecutionStoppedAt) {
			t.Errorf("task %d of the concurrency group was created at %s, before the previous task stopped at %s",
				i+1, tasks[i+1].CreatedAt, tasks[i].ExecutionStoppedAt)
		}
	}
	tally, err := s.Tally(t.Context())
	if err != nil || len(tally.Lost)+len(tally.Doubled) > 0 {
		t.Errorf("Tally = %+v, %v, want empty lists", tally, err)
	}
}

// TestOverdueIsAnnounced plays events/overdue. No event starts a model with a success-by time. The announcement that it
// is overdue starts another model.
func TestOverdueIsAnnounced(t *testing.T) {
	t.Parallel()
	s := playSample(t, "overdue")
	if spec, err := s.Spec(t.Context(), s.runOf(t, "tell").ID); err != nil || spec.Inputs["model"] != "late" {
		t.Errorf("the model tell ran with the inputs %v, %v, want model late", spec.Inputs, err)
	}
}

func TestPauseHoldsRunsUntilResume(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, o)
	c := s.dispatcher(t, o)
	if changed, err := c.Pause(t.Context(), "worker", "a look at its data", "tester"); err != nil || !changed {
		t.Fatalf("Pause = %v, %v", changed, err)
	}
	for i := range 3 {
		s.put(t, fmt.Sprintf("s3://landing/copy/%d.txt", i), "text")
	}
	s.waitFor(t, "three queued runs", func() bool {
		waiting := 0
		for _, r := range s.runs {
			if r.WaitingFor == run.ForSlot {
				waiting++
			}
		}
		return waiting == 3
	})
	out, err := s.ecs.ListTasks(t.Context(), &awsecs.ListTasksInput{Cluster: aws.String("modeldispatch")})
	if err != nil || len(out.TaskArns) > 0 {
		t.Errorf("while the model is paused, ECS lists %v, %v, want no task", out, err)
	}
	if changed, err := c.Resume(t.Context(), "worker", "tester"); err != nil || !changed {
		t.Fatalf("Resume = %v, %v", changed, err)
	}
	for _, r := range s.waitEnded(t, 3) {
		if r.State != run.Succeeded {
			t.Errorf("after the resume run %s ended as %s, want succeeded", r.ID, r.State)
		}
	}
}
