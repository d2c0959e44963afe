package local_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	awstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"modeldispatch/internal/local"
	"modeldispatch/internal/local/fault"
	"modeldispatch/internal/local/play"
	"modeldispatch/internal/run"
)

// sample plays one of the projects in events, and gives the stack that it was played on. All that happens goes through
// the stack's HTTP endpoints.
func sample(t *testing.T, name string) *stand {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh here, which the sample models need: with one in the PATH this is tested too")
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
	steps, err := play.ReadPlan(folder)
	if err != nil {
		t.Fatal(err)
	}
	err = play.Player{Stack: s.Stack, Catalog: o.Catalog, Folder: folder}.Play(t.Context(), steps, func(r play.Result) {
		if r.Wrong != "" || r.LeftOut != "" {
			t.Errorf("%s: %s%s", r.Step.Name(), r.Wrong, r.LeftOut)
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

// stopped are the tasks of a model's runs, as ECS describes them, in the order of their attempts.
func (s *stand) stopped(t *testing.T, name string) []awstypes.Task {
	t.Helper()
	list, err := s.ecs.ListTasks(t.Context(), &awsecs.ListTasksInput{Cluster: aws.String("modeldispatch"), DesiredStatus: awstypes.DesiredStatusStopped})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.ecs.DescribeTasks(t.Context(), &awsecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: list.TaskArns})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(out.Tasks, func(task awstypes.Task) bool {
		return !strings.HasPrefix(*task.StartedBy, local.Deployment+"/"+name+"-")
	})
	slices.SortFunc(all, func(a, b awstypes.Task) int { return strings.Compare(*a.StartedBy, *b.StartedBy) })
	return all
}

// end is how the only run of a model has ended.
func (s *stand) end(t *testing.T, name string) run.Run {
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

// TestTheLifeOfARun plays events/life: each failure has its own answer, and each policy its effect.
func TestTheLifeOfARun(t *testing.T) {
	t.Parallel()
	s := sample(t, "life")
	var sizes, capacities []string
	for _, task := range s.stopped(t, "climbs") {
		sizes = append(sizes, *task.Memory+" "+aws.ToString(task.Containers[0].Reason))
	}
	const killed = " OutOfMemoryError: Container killed due to memory usage"
	if want := []string{"512" + killed, "1024" + killed, "2048 "}; !slices.Equal(sizes, want) {
		t.Errorf("the tasks that climb had %q, want %q", sizes, want)
	}
	for _, task := range s.stopped(t, "returns") {
		capacities = append(capacities, fmt.Sprint(aws.ToString(task.CapacityProviderName), " ", task.LaunchType, " ", task.StopCode))
	}
	if want := []string{"FARGATE_SPOT FARGATE SpotInterruption", "FARGATE_SPOT FARGATE SpotInterruption", " FARGATE EssentialContainerExited"}; !slices.Equal(capacities, want) {
		t.Errorf("the tasks that were interrupted ran on %q, want %q", capacities, want)
	}
	if tasks := s.stopped(t, "refused"); len(tasks) != 1 || tasks[0].CapacityProviderName != nil || s.end(t, "refused").Attempt != 2 {
		t.Errorf("the refused run had %d tasks and %d attempts", len(tasks), s.end(t, "refused").Attempt)
	}
	for name, want := range map[string]run.Class{"hangs": run.TimedOut, "incomplete": run.InputsMissing} {
		if r := s.end(t, name); r.Outcome == nil || r.Outcome.Class != want {
			t.Errorf("model %s ended with %v, want %s", name, r.Outcome, want)
		}
	}
	if detail := s.end(t, "incomplete").Outcome.Detail; !strings.Contains(detail, "s3://landing/never/a.csv") {
		t.Errorf("what is missing is not named: %s", detail)
	}
	if r := s.end(t, "batches"); r.Joined != 9 {
		t.Errorf("%d files joined the run of the first, want 9", r.Joined)
	}
	tasks := s.stopped(t, "one-at-a-time")
	slices.SortFunc(tasks, func(a, b awstypes.Task) int { return a.CreatedAt.Compare(*b.CreatedAt) })
	for i := range len(tasks) - 1 {
		if tasks[i+1].CreatedAt.Before(*tasks[i].ExecutionStoppedAt) {
			t.Errorf("task %d of the line was created at %s, before the one ahead of it stopped at %s", i+1, tasks[i+1].CreatedAt, tasks[i].ExecutionStoppedAt)
		}
	}
	tally, err := s.Tally(t.Context())
	if err != nil || len(tally.Lost)+len(tally.Doubled) > 0 {
		t.Errorf("Tally = %+v, %v", tally, err)
	}
}

// TestWhatIsOverdueIsAnnounced plays events/overdue: nobody starts a model that should have succeeded, and another model
// is started by the announcement of that.
func TestWhatIsOverdueIsAnnounced(t *testing.T) {
	t.Parallel()
	s := sample(t, "overdue")
	if spec, err := s.Spec(t.Context(), s.end(t, "tell").ID); err != nil || spec.Inputs["model"] != "late" {
		t.Errorf("it was told with %v, %v", spec.Inputs, err)
	}
}

func TestAPausedModelIsNotLaunchedUntilItIsResumed(t *testing.T) {
	t.Parallel()
	o, err := options(project(t, never))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, o)
	c := s.dispatcher(t, o)
	if changed, err := c.Pause(t.Context(), "worker", "a look at its data", "somebody"); err != nil || !changed {
		t.Fatalf("Pause = %v, %v", changed, err)
	}
	for i := range 3 {
		s.put(t, fmt.Sprintf("s3://landing/copy/%d.txt", i), "text")
	}
	s.until(t, "three runs in line", func() bool {
		waiting := 0
		for _, r := range s.runs {
			if r.For == run.Line {
				waiting++
			}
		}
		return waiting == 3
	})
	if out, err := s.ecs.ListTasks(t.Context(), &awsecs.ListTasksInput{Cluster: aws.String("modeldispatch")}); err != nil || len(out.TaskArns) > 0 {
		t.Errorf("while it is paused ECS lists %v, %v", out.TaskArns, err)
	}
	if changed, err := c.Resume(t.Context(), "worker", "somebody"); err != nil || !changed {
		t.Fatalf("Resume = %v, %v", changed, err)
	}
	for _, r := range s.ended(t, 3) {
		if r.State != run.Succeeded {
			t.Errorf("run %s is %s after it was let go", r.ID, r.State)
		}
	}
}
