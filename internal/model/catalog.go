package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Catalog is all models of one deployment, validated and compiled for one environment. One that was read from its compiled
// form has an index of its models only, and decodes each when it is needed.
type Catalog struct {
	Schema      int               `json:"schema"`
	Version     string            `json:"version"` // hash of the content
	Environment string            `json:"environment"`
	Variables   map[string]string `json:"variables,omitempty"`
	Paused      bool              `json:"paused,omitempty"` // triggers: paused
	Pools       map[string]int    `json:"pools,omitempty"`
	Models      []Model           `json:"models"` // by name; none where there is an index

	index    []Entry
	compiled []byte // what the catalog was read from
}

// Entry is what is to be known of a model before it is needed.
type Entry struct {
	Name     string    `json:"name"`
	Triggers []Trigger `json:"triggers,omitempty"`
	Expects  bool      `json:"expects,omitempty"` // its policy has `expect`
	Size     int       `json:"size"`              // of the rest of it, in bytes

	model func() Model
}

// Model is the whole model. It may be asked for by several at once.
func (e Entry) Model() Model { return e.model() }

// Index is an entry for each model, by name.
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

// Model finds a model by its name.
func (c Catalog) Model(name string) (Model, bool) {
	if i, found := slices.BinarySearchFunc(c.index, name, func(e Entry, name string) int { return strings.Compare(e.Name, name) }); found {
		return c.index[i].Model(), true
	}
	i, found := slices.BinarySearchFunc(c.Models, name, func(m Model, name string) int { return strings.Compare(m.Name, name) })
	if !found {
		return Model{}, false
	}
	return c.Models[i], true
}

// Queues are the names of the queues that `message` triggers read, sorted.
func (c Catalog) Queues() []string {
	var queues []string
	for _, e := range c.Index() {
		for _, t := range e.Triggers {
			if t.Kind == Message {
				queues = append(queues, t.Queue)
			}
		}
	}
	slices.Sort(queues)
	return slices.Compact(queues)
}

// header is the first line of a compiled catalog: the catalog with its index in the place of its models. Each has one
// of the lines that follow.
type header struct {
	Catalog
	Models []Entry `json:"models"`
}

// Compile is the catalog in the form that ReadCatalog reads: without what only the stack is made of. A model whose task
// definition is the deployment's own has no family there, as that holds the deployment's name.
func (c Catalog) Compile() ([]byte, error) {
	if c.compiled != nil {
		return c.compiled, nil
	}
	h := header{c, c.Index()}
	var lines bytes.Buffer
	for i, m := range c.Models {
		if m.Task.Definition != nil {
			m.Task.Definition, m.Task.Family = nil, ""
		}
		m.Triggers = nil // they are in the index
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

// ReadCatalog reads a compiled catalog for a deployment, with the names that its task definitions and queues have.
func ReadCatalog(compiled []byte, deployment string) (Catalog, error) {
	first, rest, _ := bytes.Cut(compiled, []byte("\n"))
	var h header
	if err := json.Unmarshal(first, &h); err != nil {
		return Catalog{}, fmt.Errorf("decoding its index: %w", err)
	}
	if h.Schema > Schema {
		return Catalog{}, fmt.Errorf("it has schema %d, and this code knows up to %d: use the version that made it", h.Schema, Schema)
	}
	c := h.Catalog
	c.compiled, c.index = compiled, h.Models
	for i := range c.index {
		e := &c.index[i]
		if e.Size <= 0 || e.Size > len(rest) {
			return Catalog{}, fmt.Errorf("model %q is not whole in it: build it again", e.Name)
		}
		e.deploy(rest[:e.Size], deployment)
		rest = rest[e.Size:]
	}
	if len(rest) > 0 {
		return Catalog{}, fmt.Errorf("%d bytes come after the last model of its index: build it again", len(rest))
	}
	return c, nil
}

// Deployed is the catalog as the functions of a deployment read it.
func (c Catalog) Deployed(deployment string) (Catalog, error) {
	compiled, err := c.Compile()
	if err != nil {
		return c, err
	}
	return ReadCatalog(compiled, deployment)
}

// deploy gives an entry its model, of a line, and both the names that they have in a deployment.
func (e *Entry) deploy(line []byte, deployment string) {
	for i := range e.Triggers {
		if t := &e.Triggers[i]; t.Kind == Message && !strings.HasPrefix(t.Queue, "arn:") {
			t.Queue = deployment + "-" + t.Queue
		}
	}
	triggers := e.Triggers
	e.model = sync.OnceValue(func() Model {
		var m Model
		if err := json.Unmarshal(line, &m); err != nil {
			panic(fmt.Sprintf("a model of the compiled catalog that cannot be decoded: %v", err)) // Compile wrote it
		}
		if m.Task.Family == "" {
			m.Task.Family = deployment + "-" + m.Name
		}
		m.Triggers = triggers
		return m
	})
}
