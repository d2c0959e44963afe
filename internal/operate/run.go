package operate

import (
	"encoding/json"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// Run is the view of a run. NewRun sets the first part, WithSpec the second, and ReadRun all.
type Run struct {
	Run              string         `json:"run"` // id
	Model            string         `json:"model"`
	Trigger          string         `json:"trigger"`
	State            run.State      `json:"state"`
	WaitingFor       run.Wait       `json:"waitingFor,omitempty"`
	WaitingSince     time.Time      `json:"waitingSince,omitzero"`
	WaitingUntil     time.Time      `json:"waitingUntil,omitzero"`
	Breaker          model.Capacity `json:"breaker,omitempty"`
	Accepted         time.Time      `json:"accepted"`
	Ended            time.Time      `json:"ended,omitzero"`
	DurationSeconds  *float64       `json:"durationSeconds,omitempty"` // nil before the end
	Attempt          int            `json:"attempt"`                   // 0 before the first attempt
	Outcome          *Outcome       `json:"outcome,omitempty"`
	StopRequest      *StopRequest   `json:"stopRequest,omitempty"`
	CapacityType     model.Capacity `json:"capacityType,omitempty"`
	TaskDefinition   string         `json:"taskDefinition,omitempty"` // ARN
	Task             string         `json:"task,omitempty"`           // ARN
	TaskStatus       string         `json:"taskStatus,omitempty"`
	TaskSize         Size           `json:"taskSize,omitzero"`
	RaisedSize       Size           `json:"raisedSize,omitzero"`
	RetriesUsed      RetriesUsed    `json:"retriesUsed,omitzero"`
	OrphanTasks      []string       `json:"orphanTasks,omitempty"` // ARNs
	Joined           int            `json:"joined,omitempty"`
	StartsDownstream bool           `json:"startsDownstream,omitempty"`
	NotDone          []string       `json:"notDone,omitempty"`

	Kind           model.Kind        `json:"kind,omitempty"`
	Event          string            `json:"event,omitempty"` // identity
	Combination    string            `json:"combination,omitempty"`
	CatalogVersion string            `json:"catalogVersion,omitempty"`
	Inputs         map[string]string `json:"inputs,omitempty"`
	ExternalInputs []string          `json:"externalInputs,omitempty"`
	InputSources   map[string]string `json:"inputSources,omitempty"`
	Outputs        []Output          `json:"outputs,omitempty"`
	Objects        []string          `json:"objects,omitempty"` // S3 URIs

	CapacityTypes []model.Capacity  `json:"capacityTypes,omitempty"`
	TaskFamily    string            `json:"taskFamily,omitempty"`
	Container     string            `json:"container,omitempty"`
	Command       []string          `json:"command,omitempty"`
	Environment   []Variable        `json:"environment,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Policy        *Policy           `json:"policy,omitempty"`
	Attempts      []Attempt         `json:"attempts,omitempty"` // oldest first
}

// Outcome is the view of the end of an attempt.
type Outcome struct {
	Class     run.Class `json:"class"`
	Detail    string    `json:"detail,omitempty"`
	ExitCode  *int      `json:"exitCode,omitempty"` // nil if the container reported none
	Permanent bool      `json:"permanent,omitempty"`
}

// String returns the class, and the detail if there is one.
func (o Outcome) String() string { return run.Outcome{Class: o.Class, Detail: o.Detail}.String() }

// StopRequest is the view of a request to stop an attempt or to cancel a run.
type StopRequest struct {
	Class  run.Class `json:"class"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Size is the size of a task.
type Size struct {
	CPUUnits  int `json:"cpuUnits,omitempty"`
	MemoryMiB int `json:"memoryMiB,omitempty"`
}

// RetriesUsed counts the retries that a run has used of each budget.
type RetriesUsed struct {
	Model          int `json:"model,omitempty"`
	Infrastructure int `json:"infrastructure,omitempty"`
	Interruptions  int `json:"interruptions,omitempty"` // these count as infrastructure too
}

// Output is an object that a successful run leaves.
type Output struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// Variable is a variable of a container's environment.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Attempt is the view of one launch of a run.
type Attempt struct {
	Attempt   int             `json:"attempt"` // from 1
	Requested time.Time       `json:"requested"`
	Started   time.Time       `json:"started,omitzero"`
	Ended     time.Time       `json:"ended,omitzero"`
	Task      string          `json:"task,omitempty"` // ARN
	Outcome   *Outcome        `json:"outcome,omitempty"`
	LogName   string          `json:"logName,omitempty"` // ReadRun leaves it empty: a deployment knows its logs
	Request   json.RawMessage `json:"request,omitempty"` // RunTask request in AWS's form
}

// NewRun returns the view of a run's document. The fields that WithSpec and ReadRun set are empty.
func NewRun(r run.Run) Run {
	v := Run{
		Run: r.ID, Model: r.Model, Trigger: r.Trigger, State: r.State, WaitingFor: r.WaitingFor,
		Accepted: r.Accepted.UTC(), Ended: r.Ended.UTC(), Attempt: r.Attempt, Outcome: newOutcome(r.Outcome),
		TaskDefinition: r.Definition, Task: r.Task.ARN, TaskStatus: r.Task.Status, TaskSize: newSize(r.Task.Size),
		RaisedSize: newSize(r.Size), OrphanTasks: r.OrphanTasks, Joined: r.Joined, StartsDownstream: r.StartsDownstream,
		NotDone: r.Outbox.Dropped,
	}
	used := r.RetriesUsed
	v.RetriesUsed = RetriesUsed{Model: used.Model, Infrastructure: used.Infrastructure, Interruptions: used.Interruptions}
	if r.CapacityIndex < len(r.Capacities) {
		v.CapacityType = r.Capacities[r.CapacityIndex]
	}
	if s := r.StopRequest; s != nil {
		v.StopRequest = &StopRequest{Class: s.Class, Reason: s.Reason, By: s.By, At: s.At.UTC()}
	}
	if r.State.Ended() {
		v.DurationSeconds = new(r.Ended.Sub(r.Accepted).Seconds())
	}
	return v.withWait(r)
}

// withWait sets since when a waiting run waits, and until when, as far as its document has these times.
func (v Run) withWait(r run.Run) Run {
	switch r.WaitingFor {
	case run.ForDebounce:
		v.WaitingSince, v.WaitingUntil = r.WaitingSince.UTC(), r.Due.UTC()
	case run.ForObjects, run.ForSlot:
		v.WaitingSince = r.WaitingSince.UTC()
	case run.ForCapacity:
		v.WaitingSince = r.WaitingSince.UTC()
		v.Breaker = r.Breaker
	case run.ForLaunch:
		v.WaitingUntil = r.Reservation.UTC()
	case run.ForBackoff:
		v.WaitingUntil = r.Due.UTC()
	}
	return v
}

// WithSpec adds the facts with which the run was accepted.
func (v Run) WithSpec(s run.Spec) Run {
	v.Kind, v.Event, v.Combination, v.CatalogVersion = s.Kind, s.Event, s.Combination, s.Catalog
	v.Inputs, v.ExternalInputs, v.InputSources, v.Objects = s.Inputs, s.ExternalInputs, s.From, s.Objects
	for _, o := range s.Task.Outputs {
		v.Outputs = append(v.Outputs, Output{Name: o.Name, URI: o.URI})
	}
	return v
}

// withDetail adds what only the view of a single run has.
func (v Run) withDetail(r run.Run, s run.Spec, attempts []run.Attempt) Run {
	v.CapacityTypes, v.Policy = r.Capacities, newPolicy(r.Policy)
	v.TaskFamily, v.Container, v.Command, v.Tags = s.Task.Family, s.Task.Container, s.Task.Command, s.Task.Tags
	for _, variable := range s.Task.Environment {
		v.Environment = append(v.Environment, Variable{Name: variable.Name, Value: variable.Value})
	}
	for _, a := range attempts {
		v.Attempts = append(v.Attempts, newAttempt(a, r))
	}
	return v
}

// newAttempt returns the view of an attempt. The document of an open attempt does not have its task: the run has it.
func newAttempt(a run.Attempt, r run.Run) Attempt {
	if a.Number == r.Attempt && a.Outcome == nil {
		a.Task, a.Started = r.Task.ARN, r.Task.Started
	}
	return Attempt{
		Attempt: a.Number, Requested: a.FirstCall.UTC(), Started: a.Started.UTC(), Ended: a.Ended.UTC(), Task: a.Task,
		Outcome: newOutcome(a.Outcome), Request: a.Request,
	}
}

func newOutcome(o *run.Outcome) *Outcome {
	if o == nil {
		return nil
	}
	return &Outcome{Class: o.Class, Detail: o.Detail, ExitCode: o.ExitCode, Permanent: o.Permanent}
}

func newSize(s model.Size) Size { return Size{CPUUnits: s.CPU, MemoryMiB: s.Memory} }
