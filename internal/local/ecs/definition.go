package ecs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/local/awsjson"
)

// definition is one revision of a task definition.
type definition struct {
	Family     string
	Revision   int
	Status     string          // ACTIVE or INACTIVE
	Registered json.RawMessage // as it was registered
	spec       spec
}

// spec is what is read of a definition.
type spec struct {
	Family                  string          `json:"family"`
	NetworkMode             string          `json:"networkMode"`
	CPU                     text            `json:"cpu"`
	Memory                  text            `json:"memory"`
	RequiresCompatibilities []string        `json:"requiresCompatibilities"`
	Containers              []containerSpec `json:"containerDefinitions"`
	Volumes                 []struct {
		Name string `json:"name"`
	} `json:"volumes"`
}

type containerSpec struct {
	Name        string   `json:"name"`
	Image       string   `json:"image"`
	Essential   *bool    `json:"essential"`
	EntryPoint  []string `json:"entryPoint"`
	Command     []string `json:"command"`
	Environment []pair   `json:"environment"`
	Secrets     []struct {
		Name string `json:"name"`
	} `json:"secrets"`
	Directory   string `json:"workingDirectory"`
	Memory      int    `json:"memory"`
	StopTimeout *int   `json:"stopTimeout"`
}

func (c containerSpec) essential() bool { return c.Essential == nil || *c.Essential }

// text is a string that some write as a number.
type text string

// UnmarshalJSON reads both.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = text(strings.Trim(string(raw), `"`))
	if *t == "null" {
		*t = ""
	}
	return nil
}

func (d *definition) arn(s *Server) string {
	return s.arn(fmt.Sprintf("task-definition/%s:%d", d.Family, d.Revision))
}

// nameForm is the form of the names of families, containers, volumes and clusters:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// check returns the error with which RegisterTaskDefinition refuses the definition.
func (p spec) check() error {
	if err := p.checkNames(); err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Containers, containerSpec.essential) {
		return refused("No essential containers found.")
	}
	if !slices.Contains(p.RequiresCompatibilities, "FARGATE") {
		return nil
	}
	if p.NetworkMode != "awsvpc" {
		return refused("When networkMode=%s, requiresCompatibilities cannot be FARGATE.", p.NetworkMode)
	}
	if !validSize(string(p.CPU), string(p.Memory)) {
		return refused("No Fargate configuration exists for given values.")
	}
	return nil
}

func (p spec) checkNames() error {
	if !nameForm.MatchString(p.Family) {
		return refused("Family contains invalid characters, or is empty.")
	}
	if len(p.Containers) == 0 {
		return refused("Container list cannot be empty.")
	}
	seen := map[string]bool{}
	for _, c := range p.Containers {
		switch {
		case c.Name == "":
			return refused("Container.name should not be null or empty.")
		case !nameForm.MatchString(c.Name):
			return refused("Container.name contains invalid characters.")
		case seen[c.Name]:
			return refused("Container name %q is there twice.", c.Name)
		}
		seen[c.Name] = true
	}
	for _, v := range p.Volumes {
		if v.Name != "" && !nameForm.MatchString(v.Name) {
			return refused("Volume.name contains invalid characters.")
		}
	}
	return nil
}

func refused(format string, args ...any) error {
	return &awsjson.Error{Type: "ClientException", Message: fmt.Sprintf(format, args...)}
}

func validSize(cpu, memory string) bool {
	c, cErr := strconv.Atoi(cpu)
	m, mErr := strconv.Atoi(memory)
	return cErr == nil && mErr == nil && fargate.ValidSize(c, m)
}

// Register registers a task definition, given as RegisterTaskDefinition's JSON, and gives its ARN.
// One that equals the latest active revision is not registered again.
func (s *Server) Register(registered json.RawMessage) (string, error) {
	d, err := s.register(registered, true)
	if err != nil {
		return "", err
	}
	return d.arn(s), nil
}

func (s *Server) register(registered json.RawMessage, reuse bool) (*definition, error) {
	var plain bytes.Buffer
	if err := json.Compact(&plain, registered); err != nil {
		return nil, &awsjson.Error{Type: "SerializationException", Message: err.Error()}
	}
	d := &definition{Status: "ACTIVE", Registered: plain.Bytes()}
	if err := json.Unmarshal(registered, &d.spec); err != nil {
		return nil, &awsjson.Error{Type: "SerializationException", Message: err.Error()}
	}
	if err := d.spec.check(); err != nil {
		return nil, err
	}
	d.Family = d.spec.Family
	s.mu.Lock()
	defer s.mu.Unlock()
	revisions := s.definitions[d.Family]
	if latest := active(revisions); reuse && latest != nil && bytes.Equal(latest.Registered, d.Registered) {
		return latest, nil
	}
	d.Revision = len(revisions) + 1
	s.definitions[d.Family] = append(revisions, d)
	return d, s.saveDefinition(d)
}

func active(revisions []*definition) *definition {
	for _, d := range slices.Backward(revisions) {
		if d.Status == "ACTIVE" {
			return d
		}
	}
	return nil
}

// definition finds a definition by family, family:revision or ARN.
func (s *Server) definition(name string) *definition {
	name = name[strings.LastIndexByte(name, '/')+1:]
	family, revision, pinned := strings.Cut(name, ":")
	s.mu.Lock()
	defer s.mu.Unlock()
	revisions := s.definitions[family]
	if !pinned {
		return active(revisions)
	}
	if n, err := strconv.Atoi(revision); err == nil && n >= 1 && n <= len(revisions) {
		return revisions[n-1]
	}
	return nil
}

func (s *Server) registerTaskDefinition(_ context.Context, request json.RawMessage) (any, error) {
	d, err := s.register(request, false)
	if err != nil {
		return nil, err
	}
	return s.described(d)
}

func (s *Server) described(d *definition) (any, error) {
	var shown map[string]any
	if err := json.Unmarshal(d.Registered, &shown); err != nil {
		return nil, err
	}
	maps.DeleteFunc(shown, func(_ string, v any) bool { return v == nil })
	tags := shown["tags"]
	delete(shown, "tags")
	shown["taskDefinitionArn"], shown["revision"], shown["status"] = d.arn(s), d.Revision, d.Status
	shown["cpu"], shown["memory"] = string(d.spec.CPU), string(d.spec.Memory)
	answer := map[string]any{"taskDefinition": shown}
	if tags != nil {
		answer["tags"] = tags
	}
	return answer, nil
}

type definitionRequest struct {
	TaskDefinition string `json:"taskDefinition"`
}

func (s *Server) describeTaskDefinition(_ context.Context, in definitionRequest) (any, error) {
	d := s.definition(in.TaskDefinition)
	if d == nil {
		return nil, &awsjson.Error{Type: "ClientException", Message: "Unable to describe task definition."}
	}
	return s.described(d)
}

func (s *Server) deregisterTaskDefinition(_ context.Context, in definitionRequest) (any, error) {
	d := s.definition(in.TaskDefinition)
	if d == nil || !strings.Contains(in.TaskDefinition, ":") {
		return nil, &awsjson.Error{Type: "ClientException", Message: "The specified task definition does not exist. Specify family:revision."}
	}
	s.mu.Lock()
	d.Status = "INACTIVE"
	err := s.saveDefinition(d)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.described(d)
}

func (s *Server) listTaskDefinitions(_ context.Context, in struct {
	FamilyPrefix string `json:"familyPrefix"`
	Status       string `json:"status"`
}) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arns := []string{}
	for _, family := range slices.Sorted(maps.Keys(s.definitions)) {
		for _, d := range s.definitions[family] {
			if (in.FamilyPrefix == "" || in.FamilyPrefix == family) && (in.Status == "" && d.Status == "ACTIVE" || in.Status == d.Status) {
				arns = append(arns, d.arn(s))
			}
		}
	}
	return map[string]any{"taskDefinitionArns": arns}, nil
}
