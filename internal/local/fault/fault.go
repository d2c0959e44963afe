// Package fault injects failures into the local ECS, so that users and tests can see how a run reacts, without waiting
// for AWS to fail. It acts at two steps of the flow: at the launch, where a fault makes a RunTask call fail, and at the
// task, where a fault ends a task.
//
// Faults are declared in a YAML file:
//
//	# faults.yaml: modeldispatch local --faults faults.yaml
//	- fault: out-of-memory     # the kind of fault; Kinds lists them
//	  model: forecast          # only for this model; default: every model
//	  below: 2048              # only for a task with less memory than this, in MiB
//	- fault: interruption
//	  capacity: spot           # only for a task on this capacity type
//	  times: 2                 # happens this many times; default: every time
//
// Terms:
//
//   - Fault: one entry of the file, with a kind and the conditions under which it happens.
//   - Kind: the sort of failure, such as interruption. Each kind is a refusal or an end.
//   - Refusal: a kind that makes RunTask fail (capacity, quota, throttled, server-error).
//   - End: a kind that ends a task (start-failure, interruption, out-of-memory).
//
// Entry points: Read reads and checks a file, Faults turns its entries into the hooks that the local
// ECS calls, and Kinds lists the kinds. Fault.matches decides whether a fault applies to a launch.
//
// Rules:
//
//   - The local ECS asks for refusals at each RunTask call, and for ends before it starts a task's
//     containers. Each time, the first fault in the file whose conditions all hold is injected.
//   - Each match uses up one of the fault's times. The counts are in memory, and start anew with
//     each call of Faults.
//   - The model is read from startedBy (DEPLOYMENT/RUN/ATTEMPT). A fault with a model does not match a
//     task whose startedBy has another form.
package fault

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"modeldispatch/internal/local/ecs"
	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// File is the name of the faults file in a folder of events that "modeldispatch local --play" plays.
const File = "faults.yaml"

// Kind names a sort of failure, such as interruption.
type Kind string

// kinds holds how ECS reports each kind: as a refused RunTask call, or as the end of a task.
var kinds = map[Kind]struct {
	refusal *ecs.Refusal
	end     *ecs.TaskEnd
}{
	// RunTask starts no task: Fargate has no capacity.
	"capacity": {refusal: &ecs.Refusal{
		Failure: "Capacity is unavailable at this time. Please try again later or in a different availability zone",
	}},
	// RunTask starts no task: a quota of the account is used up.
	"quota": {refusal: &ecs.Refusal{
		Failure: "You've reached the limit on the number of vCPUs you can run concurrently",
	}},
	// RunTask returns ThrottlingException.
	"throttled": {refusal: &ecs.Refusal{
		Type: "ThrottlingException", Message: "Rate exceeded",
	}},
	// RunTask returns status 500, but has started the task.
	"server-error": {refusal: &ecs.Refusal{
		Type: "ServerException", Message: "Service Unavailable.", Status: http.StatusInternalServerError, Started: true,
	}},
	// The task stops before its containers start.
	"start-failure": {end: &ecs.TaskEnd{
		Code: "TaskFailedToStart",
		Reason: "ResourceInitializationError: unable to pull secrets or registry auth: " +
			"execution resource retrieval failed",
		NotStarted: true,
	}},
	// Fargate Spot interrupts the task.
	"interruption": {end: &ecs.TaskEnd{
		Code: "SpotInterruption", Reason: "Your Spot Task was interrupted.",
	}},
	// The container is killed because it is out of memory.
	"out-of-memory": {end: &ecs.TaskEnd{
		Code: "EssentialContainerExited", Reason: "Essential container in task exited", OutOfMemory: true,
	}},
}

// Fault is one failure to inject, and the conditions under which it happens. All conditions must
// hold. A zero field sets no condition.
type Fault struct {
	Kind     Kind           `yaml:"fault"`
	Model    string         `yaml:"model"`    // only launches of this model
	Capacity model.Capacity `yaml:"capacity"` // only launches on this capacity type
	Below    int            `yaml:"below"`    // only tasks with less memory than this, in MiB
	Times    *int           `yaml:"times"`    // the number of times that the fault happens; nil means every time
}

// Read reads a faults file and checks it against the catalog's models. It returns an error if the file
// cannot be read, has invalid YAML or unknown fields, or has a fault with an unknown kind, model or
// capacity, a negative below, or a times below 1. The error names the file, and the fault by its number.
func Read(file string, c model.Catalog) ([]Fault, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading faults: %w", err)
	}
	faults, err := parse(text, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return faults, nil
}

func parse(text []byte, c model.Catalog) (faults []Fault, err error) {
	if err := yamldoc.Unmarshal(text, &faults); err != nil {
		return nil, err
	}
	for i, f := range faults {
		if err := f.check(c); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	return faults, nil
}

func (f Fault) check(c model.Catalog) error {
	capacities := []model.Capacity{"", model.Spot, model.OnDemand, model.EC2, model.External}
	_, known := kinds[f.Kind]
	_, hasModel := c.Model(f.Model)
	switch {
	case !known:
		return fmt.Errorf("unknown fault %q; the faults are %s", f.Kind, join(slices.Sorted(maps.Keys(kinds))))
	case f.Model != "" && !hasModel:
		return fmt.Errorf("there is no model %q", f.Model)
	case !slices.Contains(capacities, f.Capacity):
		return fmt.Errorf("unknown capacity %q; the capacities are %s", f.Capacity, join(capacities[1:]))
	case f.Below < 0 || f.Times != nil && *f.Times < 1:
		return fmt.Errorf("below (in MiB) and times must be at least 1; without times the fault happens every time")
	}
	return nil
}

func join[T ~string](words []T) string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return strings.Join(all, ", ")
}

// Faults returns hooks for the local ECS that inject the faults. For each RunTask call and for each
// start of a task, they inject the first fault that matches. The hooks may be called from any goroutine.
func Faults(all []Fault) ecs.Faults {
	var mu sync.Mutex
	left := make([]int, len(all)) // the times left for each fault; negative means no limit
	for i, f := range all {
		if left[i] = -1; f.Times != nil {
			left[i] = *f.Times
		}
	}
	next := func(a ecs.LaunchRequest, refuses bool) *Fault {
		mu.Lock()
		defer mu.Unlock()
		for i, f := range all {
			if (kinds[f.Kind].refusal != nil) == refuses && left[i] != 0 && f.matches(a) {
				left[i]--
				return &all[i]
			}
		}
		return nil
	}
	return ecs.Faults{
		RunTask: func(a ecs.LaunchRequest) *ecs.Refusal {
			if f := next(a, true); f != nil {
				return kinds[f.Kind].refusal
			}
			return nil
		},
		Task: func(a ecs.LaunchRequest) *ecs.TaskEnd {
			if f := next(a, false); f != nil {
				return kinds[f.Kind].end
			}
			return nil
		},
	}
}

// matches reports whether all conditions of the fault hold for the launch.
func (f Fault) matches(a ecs.LaunchRequest) bool {
	_, run, _ := strings.Cut(a.StartedBy, "/")
	run, _, _ = strings.Cut(run, "/")
	name := run[:max(strings.LastIndexByte(run, '-'), 0)]
	return (f.Model == "" || f.Model == name) &&
		(f.Capacity == "" || f.Capacity == capacity(a)) &&
		(f.Below == 0 || a.MemoryMiB < f.Below)
}

// capacity returns the capacity type that a launch asks for, in the words of a model's task.capacity.
func capacity(a ecs.LaunchRequest) model.Capacity {
	switch {
	case a.CapacityProvider == "FARGATE_SPOT":
		return model.Spot
	case a.CapacityProvider == "FARGATE", a.LaunchType == "FARGATE":
		return model.OnDemand
	}
	return model.Capacity(strings.ToLower(a.LaunchType))
}
