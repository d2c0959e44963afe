// Package fault reads what goes wrong on purpose in the local stack, so that what follows can be tried
// and tested without waiting for AWS to have a bad day.
//
//	# faults.yaml: modeldispatch local --faults faults.yaml
//	- fault: out-of-memory     # what goes wrong: see Kinds
//	  model: forecast          # for which model; without it, for all
//	  below: 2048              # only while the task has less memory, in MiB
//	- fault: interruption
//	  capacity: spot           # only where the task runs on this capacity
//	  times: 2                 # how often; without it, each time
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
	"modeldispatch/internal/local/strict"
	"modeldispatch/internal/model"
)

// File is the name that a file of faults has beside the events that are played with it.
const File = "faults.yaml"

// Kind is what goes wrong, in the words of the outcome that it leads to.
type Kind string

// kinds is how ECS shows each kind: RunTask refuses, or the task ends.
var kinds = map[Kind]struct {
	what    string
	refusal *ecs.Refusal
	end     *ecs.End
}{
	"capacity": {what: "RunTask starts nothing: there is no capacity", refusal: &ecs.Refusal{
		Failure: "Capacity is unavailable at this time. Please try again later or in a different availability zone",
	}},
	"quota": {what: "RunTask starts nothing: a quota of the account is used up", refusal: &ecs.Refusal{
		Failure: "You've reached the limit on the number of vCPUs you can run concurrently",
	}},
	"throttled":    {what: "RunTask answers ThrottlingException", refusal: &ecs.Refusal{Type: "ThrottlingException", Message: "Rate exceeded"}},
	"server-error": {what: "RunTask answers 500, and has started the task", refusal: &ecs.Refusal{Type: "ServerException", Message: "Service Unavailable.", Status: http.StatusInternalServerError, Started: true}},
	"start-failure": {what: "the task stops before its containers run", end: &ecs.End{
		Code: "TaskFailedToStart", Reason: "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed", NotStarted: true,
	}},
	"interruption": {what: "Fargate Spot takes the task away", end: &ecs.End{Code: "SpotInterruption", Reason: "Your Spot Task was interrupted."}},
	"out-of-memory": {what: "the container is killed for its memory", end: &ecs.End{
		Code: "EssentialContainerExited", Reason: "Essential container in task exited", OutOfMemory: true,
	}},
}

// Kinds are the kinds of faults, and what each is.
func Kinds() map[Kind]string {
	all := map[Kind]string{}
	for kind, k := range kinds {
		all[kind] = k.what
	}
	return all
}

// Fault is one thing that goes wrong, where all that it names holds.
type Fault struct {
	Kind     Kind           `yaml:"fault"`
	Model    string         `yaml:"model"`
	Capacity model.Capacity `yaml:"capacity"`
	Below    int            `yaml:"below"` // MiB
	Times    *int           `yaml:"times"`
}

// Read reads a file of faults, for the models of a catalog.
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
	if err := strict.YAML(text, &faults); err != nil {
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
	_, there := c.Model(f.Model)
	switch {
	case !known:
		return fmt.Errorf("%q is no fault; there are %s", f.Kind, join(slices.Sorted(maps.Keys(kinds))))
	case f.Model != "" && !there:
		return fmt.Errorf("there is no model %q", f.Model)
	case !slices.Contains(capacities, f.Capacity):
		return fmt.Errorf("%q is no capacity; there are %s", f.Capacity, join(capacities[1:]))
	case f.Below < 0 || f.Times != nil && *f.Times < 1:
		return fmt.Errorf("below (MiB) and times are at least 1; without times it happens each time")
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

// Faults are the faults as the local ECS asks for them: the first one that holds happens.
func Faults(all []Fault) ecs.Faults {
	var mu sync.Mutex
	left := make([]int, len(all))
	for i, f := range all {
		if left[i] = -1; f.Times != nil {
			left[i] = *f.Times
		}
	}
	first := func(a ecs.Asked, refuses bool) *Fault {
		mu.Lock()
		defer mu.Unlock()
		for i, f := range all {
			if (kinds[f.Kind].refusal != nil) == refuses && left[i] != 0 && f.holds(a) {
				left[i]--
				return &all[i]
			}
		}
		return nil
	}
	return ecs.Faults{
		RunTask: func(a ecs.Asked) *ecs.Refusal {
			if f := first(a, true); f != nil {
				return kinds[f.Kind].refusal
			}
			return nil
		},
		Task: func(a ecs.Asked) *ecs.End {
			if f := first(a, false); f != nil {
				return kinds[f.Kind].end
			}
			return nil
		},
	}
}

// holds says whether all that the fault names is so.
func (f Fault) holds(a ecs.Asked) bool {
	_, run, _ := strings.Cut(a.StartedBy, "/")
	run, _, _ = strings.Cut(run, "/")
	name := run[:max(strings.LastIndexByte(run, '-'), 0)]
	return (f.Model == "" || f.Model == name) && (f.Capacity == "" || f.Capacity == capacity(a)) && (f.Below == 0 || a.MemoryMiB < f.Below)
}

func capacity(a ecs.Asked) model.Capacity {
	switch {
	case a.CapacityProvider == "FARGATE_SPOT":
		return model.Spot
	case a.CapacityProvider == "FARGATE", a.LaunchType == "FARGATE":
		return model.OnDemand
	}
	return model.Capacity(strings.ToLower(a.LaunchType))
}
