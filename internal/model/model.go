package model

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Schema is the version of the JSON form of these types. Readers refuse a document with a greater version, because
// newer code wrote it.
const Schema = 2

// Model is a batch job in a container, declared as a function with typed inputs and named outputs.
type Model struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Dir is the path of the model's files on this machine. It is "" in a compiled catalog.
	Dir         string     `json:"-"`
	Task        Task       `json:"task"`
	Inputs      []Input    `json:"inputs,omitempty"` // in the order of the file: a default may mention earlier inputs
	Outputs     []Output   `json:"outputs,omitempty"`
	Command     []Template `json:"command,omitempty"`
	Environment []Variable `json:"environment,omitempty"`
	Triggers    []Trigger  `json:"triggers,omitempty"`
	Policy      Policy     `json:"policy"`
}

// Input returns the input with this name. It reports false if there is none.
func (m Model) Input(name string) (Input, bool) {
	i := slices.IndexFunc(m.Inputs, func(in Input) bool { return in.Name == name })
	if i < 0 {
		return Input{}, false
	}
	return m.Inputs[i], true
}

// Task describes the ECS task of a model.
type Task struct {
	// Family names the task definition: a family (its latest active revision), family:revision, or an ARN.
	Family string `json:"family"`
	// Definition is the task definition to register, as JSON for RegisterTaskDefinition, with task.image filled in.
	// It is nil if the model uses a definition that exists already, and in a compiled catalog.
	Definition json.RawMessage `json:"definition,omitempty"`
	Container  string          `json:"container"`          // name of the container that runs the model
	CPU        int             `json:"cpu,omitempty"`      // override in CPU units; 0 keeps the definition's value
	Memory     int             `json:"memory,omitempty"`   // override in MiB; 0 keeps the definition's value
	Capacity   []Capacity      `json:"capacity,omitempty"` // in the order of preference; none is OnDemand
}

// Size is the size of a task: CPU units and MiB. The zero Size stands for the size in the task definition.
type Size struct {
	CPU    int `json:"cpu,omitempty"`
	Memory int `json:"memory,omitempty"`
}

// Capacities returns the capacity types for the model's tasks, in the order of preference. It returns at least one.
func (m Model) Capacities() []Capacity {
	if len(m.Task.Capacity) == 0 {
		return []Capacity{OnDemand}
	}
	return m.Task.Capacity
}

// Capacity names a kind of compute on which a task can run.
type Capacity string

const (
	// OnDemand is AWS Fargate. A model that names no capacity uses it.
	OnDemand Capacity = "on-demand"
	// Spot is Fargate Spot: cheaper, but AWS may interrupt a task.
	Spot Capacity = "spot"
	// EC2 stands for the EC2 container instances of the cluster.
	EC2 Capacity = "ec2"
	// External stands for the external instances of the cluster (ECS Anywhere).
	External Capacity = "external"
)

// Output is an S3 object that a successful run must leave.
type Output struct {
	Name string   `json:"name"`
	URI  Template `json:"uri"`
}

// Variable is an environment variable of the container.
type Variable struct {
	Name  string   `json:"name"`
	Value Template `json:"value"`
}

// Kind is the kind of a trigger: the kind of event that it reacts to.
type Kind string

const (
	Schedule Kind = "schedule" // a time of a schedule has come
	Arrival  Kind = "arrival"  // an S3 object was created
	Message  Kind = "message"  // an SQS message arrived
	After    Kind = "after"    // a run of another model succeeded
	Event    Kind = "event"    // any EventBridge event
	Manual   Kind = "manual"   // a user asked for the run; no model declares such a trigger
)

// Trigger starts a model when an event of its kind matches. The kind decides which of the fields are set.
type Trigger struct {
	Name     string          `json:"name"` // unique in the model; by default the kind
	Kind     Kind            `json:"kind"`
	Hash     string          `json:"hash"`               // hash of the other fields, except Name
	Arrival  []string        `json:"arrival,omitempty"`  // s3://bucket/pattern; the first match wins
	Schedule string          `json:"schedule,omitempty"` // cron(), rate(), at()
	Timezone string          `json:"timezone,omitempty"` // IANA time zone; "" is UTC
	Queue    string          `json:"queue,omitempty"`    // name or ARN of the SQS queue
	After    []string        `json:"after,omitempty"`    // names of the models before this one
	Pattern  json.RawMessage `json:"pattern,omitempty"`  // EventBridge pattern of an event trigger
	Where    json.RawMessage `json:"where,omitempty"`    // EventBridge pattern on the event's fields, for any kind
	ForEach  []Axis          `json:"forEach,omitempty"`  // axes: one run for each combination of their values
	Inputs   []Assignment    `json:"inputs,omitempty"`
	Fields   string          `json:"fields,omitempty"` // the field of the event whose fields bind the inputs of their names, such as "body"
}

// Location returns the trigger's time zone. It returns UTC for a zone that this machine does not know; package catalog
// rejects such a zone.
func (t Trigger) Location() *time.Location {
	zone, err := time.LoadLocation(t.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Assignment binds one input: the template is expanded with the event's fields.
type Assignment struct {
	Input string   `json:"input"`
	Value Template `json:"value"`
}

// Axis is one input together with the values that it takes.
type Axis struct {
	Input  string   `json:"input"`
	Values []string `json:"values"`
}

// Combination holds one value for each input of some axes: one cell of a matrix. A trigger with
// for-each starts one run for each combination.
type Combination map[string]string

// String returns the values in the order of their inputs' names: date=2026-01-05,region=eu. It is
// empty for a combination without inputs.
func (c Combination) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		all = append(all, name+"="+c[name])
	}
	return strings.Join(all, ",")
}

// Combinations returns every combination of the axes' values. Without axes it returns one
// combination that is empty.
func Combinations(axes []Axis) []Combination {
	all := []Combination{{}}
	for _, axis := range axes {
		var next []Combination
		for _, base := range all {
			for _, value := range axis.Values {
				one := maps.Clone(base)
				one[axis.Input] = value
				next = append(next, one)
			}
		}
		all = next
	}
	return all
}

// ExpectedCombinations returns the combinations of input values for which the model's `expect`
// wants a success. It returns one empty combination if `expect` has no per. The model must have
// an `expect`.
func (m Model) ExpectedCombinations() []Combination {
	var axes []Axis
	for _, name := range m.Policy.Expect.Per {
		in, _ := m.Input(name)
		axes = append(axes, Axis{Input: name, Values: in.Enum})
	}
	return Combinations(axes)
}

// Per lists the inputs whose values tell runs apart: `per: region` or `per: [region, date]`. An
// empty list does not tell runs apart.
type Per []string

// Key returns the values of the inputs as one text. Two runs have the same key only if all their
// values are the same: no value contains the separator, because Input.Parse rejects it.
func (p Per) Key(inputs map[string]string) string {
	var values []string
	for _, name := range p {
		values = append(values, inputs[name])
	}
	return strings.Join(values, "\x00")
}

// Value returns the values of the inputs for users: the value itself for one input, and
// kind=daily,region=eu for several. Package catalog rejects combinations that would look the same.
func (p Per) Value(inputs map[string]string) string {
	if len(p) == 1 {
		return inputs[p[0]]
	}
	values := Combination{}
	for _, name := range p {
		values[name] = inputs[name]
	}
	return values.String()
}
