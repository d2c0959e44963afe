// Package model says what a model is: a containerised batch job, declared as a function with
// typed inputs and named outputs, with the triggers that start it and the policies it runs under.
//
// Everything here is data and pure functions over it. The catalog package compiles models from
// YAML; routing binds events to their inputs; Render turns bound inputs into the task to launch.
// The types marshal to JSON: that is the compiled catalog, which the functions read, and the
// snapshot that a run keeps of the model it was accepted for.
package model

import (
	"encoding/json"
	"slices"
	"time"
)

// Schema is the version of the JSON form of these types. A document of a later one is from newer code.
const Schema = 1

// Model is a declared, containerised batch job.
type Model struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Folder is where the model's files lie on this machine; the compiled catalog does not carry it.
	Folder      string     `json:"-"`
	Task        Task       `json:"task"`
	Inputs      []Input    `json:"inputs,omitempty"` // in the order of the file: a default may mention those above
	Outputs     []Output   `json:"outputs,omitempty"`
	Command     []Template `json:"command,omitempty"`
	Environment []Variable `json:"environment,omitempty"`
	Triggers    []Trigger  `json:"triggers,omitempty"`
	Policy      Policy     `json:"policy"`
}

// Input finds an input by its name.
func (m Model) Input(name string) (Input, bool) {
	i := slices.IndexFunc(m.Inputs, func(in Input) bool { return in.Name == name })
	if i < 0 {
		return Input{}, false
	}
	return m.Inputs[i], true
}

// Trigger finds a trigger by its name.
func (m Model) Trigger(name string) (Trigger, bool) {
	i := slices.IndexFunc(m.Triggers, func(t Trigger) bool { return t.Name == name })
	if i < 0 {
		return Trigger{}, false
	}
	return m.Triggers[i], true
}

// Task is what ECS is asked to run.
type Task struct {
	// Family is the definition to run: family (its latest active revision), family:revision or ARN.
	Family string `json:"family"`
	// Definition is the definition to register, when the model brings one: ECS's
	// register-task-definition JSON with task.image already in place.
	Definition json.RawMessage `json:"definition,omitempty"`
	Container  string          `json:"container"`          // the container that is the model
	CPU        int             `json:"cpu,omitempty"`      // override, in CPU units; 0 leaves the definition's
	Memory     int             `json:"memory,omitempty"`   // override, in MiB
	Capacity   []Capacity      `json:"capacity,omitempty"` // tried in order
}

// Size is how large a task is: CPU units and MiB. Zeros leave it to the task definition.
type Size struct {
	CPU    int `json:"cpu,omitempty"`
	Memory int `json:"memory,omitempty"`
}

// Capacities are where a model's tasks can run, in the order in which they are tried: at least one.
func (m Model) Capacities() []Capacity {
	if len(m.Task.Capacity) == 0 {
		return []Capacity{OnDemand}
	}
	return m.Task.Capacity
}

// Capacity is where a task can run.
type Capacity string

const (
	OnDemand Capacity = "on-demand" // Fargate
	Spot     Capacity = "spot"      // Fargate Spot: cheaper, and may be interrupted
	EC2      Capacity = "ec2"       // container instances of the cluster
	External Capacity = "external"  // ECS Anywhere
)

// Output is an S3 object that a successful run leaves.
type Output struct {
	Name string   `json:"name"`
	URI  Template `json:"uri"`
}

// Variable is an environment variable of the container.
type Variable struct {
	Name  string   `json:"name"`
	Value Template `json:"value"`
}

// Kind is a kind of trigger.
type Kind string

const (
	Schedule Kind = "schedule" // a time is due
	Arrival  Kind = "arrival"  // an S3 object was created
	Message  Kind = "message"  // an SQS message
	After    Kind = "after"    // another model's run succeeded
	Event    Kind = "event"    // any EventBridge event
	Manual   Kind = "manual"   // by hand: no trigger in a file, but a run has it as its trigger
)

// Trigger is what starts a model. The fields in use depend on its kind.
type Trigger struct {
	Name     string          `json:"name"` // the kind, where no other trigger of the model has it
	Kind     Kind            `json:"kind"`
	Hash     string          `json:"hash"`               // of the trigger's content
	Arrival  []string        `json:"arrival,omitempty"`  // s3://bucket/pattern, first match wins
	Schedule string          `json:"schedule,omitempty"` // cron(), rate(), at()
	Timezone string          `json:"timezone,omitempty"` // IANA name; "" is UTC
	Queue    string          `json:"queue,omitempty"`    // name or ARN
	After    []string        `json:"after,omitempty"`    // models
	Pattern  json.RawMessage `json:"pattern,omitempty"`  // EventBridge pattern of an event trigger
	Where    json.RawMessage `json:"where,omitempty"`    // EventBridge pattern over the trigger's namespaces
	ForEach  []Axis          `json:"forEach,omitempty"`  // one run for each combination
	Inputs   []Assignment    `json:"inputs,omitempty"`
	Fields   string          `json:"fields,omitempty"` // body, detail or upstream: its fields bind inputs of the same names
}

// Location is the trigger's time zone. The catalog has made sure that it exists.
func (t Trigger) Location() *time.Location {
	zone, err := time.LoadLocation(t.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Axis is one input that a trigger runs over, with its values.
type Axis struct {
	Input  string   `json:"input"`
	Values []string `json:"values"`
}

// Assignment binds one input from a template over the trigger's namespaces.
type Assignment struct {
	Input string   `json:"input"`
	Value Template `json:"value"`
}
