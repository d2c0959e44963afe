package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Catalog holds all models of a project, checked and compiled for one environment. A catalog that ReadCatalog has read
// holds only an index, and decodes a model on its first use.
type Catalog struct {
	Schema      int               `json:"schema"`
	Version     string            `json:"version"` // hash of the content
	Environment string            `json:"environment"`
	Variables   map[string]string `json:"variables,omitempty"`
	Paused      bool              `json:"paused,omitempty"` // the environment has `triggers: paused`
	Pools       map[string]int    `json:"pools,omitempty"`  // number of slots in each pool, by name
	Models      []Model           `json:"models"`           // sorted by name; nil if ReadCatalog has read the catalog

	index    []Entry // sorted by name; nil unless ReadCatalog has read the catalog
	compiled []byte  // the bytes that ReadCatalog has read
}

// Entry is the part of a model that the index of a compiled catalog holds. It is enough to route events.
type Entry struct {
	Name     string    `json:"name"`
	Triggers []Trigger `json:"triggers,omitempty"`
	Expects  bool      `json:"expects,omitempty"` // the policy has `expect`
	Size     int       `json:"size"`              // length of the model's line in bytes, with its newline

	model func() Model
}

// Model returns the whole model. The first call decodes it, and panics if its line is not valid JSON. Several
// goroutines may call it at the same time.
func (e Entry) Model() Model { return e.model() }

// Index returns an entry for each model, sorted by name.
func (c Catalog) Index() []Entry {
	if c.index != nil {
		return c.index
	}
	index := make([]Entry, len(c.Models))
	for i, m := range c.Models {
		index[i] = Entry{Name: m.Name, Triggers: m.Triggers, Expects: m.Policy.Expect != nil, model: func() Model { return m }}
	}
	return index
}

// Model returns the model with this name. It reports false if there is none.
func (c Catalog) Model(name string) (Model, bool) {
	byEntry := func(e Entry, name string) int { return strings.Compare(e.Name, name) }
	if i, found := slices.BinarySearchFunc(c.index, name, byEntry); found {
		return c.index[i].Model(), true
	}
	byModel := func(m Model, name string) int { return strings.Compare(m.Name, name) }
	i, found := slices.BinarySearchFunc(c.Models, name, byModel)
	if !found {
		return Model{}, false
	}
	return c.Models[i], true
}

// header is the first line of a compiled catalog: the catalog with its index instead of its models. One line for each
// model follows, in the order of the index.
type header struct {
	Catalog
	Models []Entry `json:"models"`
}

// Encode returns the compiled form that ReadCatalog reads. It leaves out the task definitions, which only the stack
// needs, and the family of each such definition, which depends on the deployment. It returns an error that names the
// model if a model has no JSON form.
func (c Catalog) Encode() ([]byte, error) {
	if c.compiled != nil {
		return c.compiled, nil
	}
	h := header{c, c.Index()}
	var lines bytes.Buffer
	for i, m := range c.Models {
		if m.Task.Definition != nil {
			m.Task.Definition, m.Task.Family = nil, ""
		}
		m.Triggers = nil // the index has them
		line, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", m.Name, err)
		}
		h.Models[i].Size = len(line) + 1
		lines.Write(append(line, '\n'))
	}
	first, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return slices.Concat(first, []byte("\n"), lines.Bytes()), nil
}

// ReadCatalog reads the compiled form of a catalog. It puts the name of the deployment before the names of queues and
// of the models' own task definitions; ARNs and definitions from elsewhere stay as they are. It does not decode the
// models yet. It returns an error if the index is not valid JSON or has a greater Schema, or if the lengths of the
// lines do not match it.
func ReadCatalog(compiled []byte, deployment string) (Catalog, error) {
	first, rest, _ := bytes.Cut(compiled, []byte("\n"))
	var h header
	if err := json.Unmarshal(first, &h); err != nil {
		return Catalog{}, fmt.Errorf("decoding its index: %w", err)
	}
	if h.Schema > Schema {
		return Catalog{}, fmt.Errorf("it has schema %d, and this program knows up to %d: use the newer modeldispatch that compiled it",
			h.Schema, Schema)
	}
	c := h.Catalog
	c.compiled, c.index = compiled, h.Models
	for i := range c.index {
		e := &c.index[i]
		if e.Size <= 0 || e.Size > len(rest) {
			return Catalog{}, fmt.Errorf("the line of model %q is incomplete: compile the catalog again", e.Name)
		}
		e.setDeployment(rest[:e.Size], deployment)
		rest = rest[e.Size:]
	}
	if len(rest) > 0 {
		return Catalog{}, fmt.Errorf("%d bytes follow the line of the last model: compile the catalog again", len(rest))
	}
	return c, nil
}

// ForDeployment returns the catalog as the functions of a deployment read it: encoded, and read again.
func (c Catalog) ForDeployment(deployment string) (Catalog, error) {
	compiled, err := c.Encode()
	if err != nil {
		return c, err
	}
	return ReadCatalog(compiled, deployment)
}

// setDeployment gives an entry the line of its model, and entry and model the names that queues and task definitions
// have in a deployment.
func (e *Entry) setDeployment(line []byte, deployment string) {
	for i := range e.Triggers {
		if t := &e.Triggers[i]; t.Kind == Message {
			t.Queue = ParseQueue(t.Queue).In(deployment).String()
		}
	}
	triggers := e.Triggers
	e.model = sync.OnceValue(func() Model {
		var m Model
		if err := json.Unmarshal(line, &m); err != nil {
			panic(fmt.Sprintf("decoding a model of the compiled catalog: %v", err)) // Encode wrote it, so this is a bug
		}
		if m.Task.Family == "" {
			m.Task.Family = NameIn(deployment, m.Name)
		}
		m.Triggers = triggers
		return m
	})
}
