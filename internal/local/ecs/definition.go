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
	Registered json.RawMessage // the registered JSON, without insignificant blanks
	spec       spec            // the part of Registered that this package reads
}

// spec holds the fields of a task definition that this package reads.
type spec struct {
	Family                  string          `json:"family"`
	NetworkMode             string          `json:"networkMode"`
	CPU                     numberOrString  `json:"cpu"`
	Memory                  numberOrString  `json:"memory"`
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

// numberOrString is a JSON string or number. Task definitions contain both forms of cpu and memory.
type numberOrString string

// UnmarshalJSON reads a string or a number. null becomes "".
func (t *numberOrString) UnmarshalJSON(raw []byte) error {
	*t = numberOrString(strings.Trim(string(raw), `"`))
	if *t == "null" {
		*t = ""
	}
	return nil
}

func (d *definition) arn(s *Server) string {
	return s.arn(fmt.Sprintf("task-definition/%s:%d", d.Family, d.Revision))
}

// namePattern matches the names of families, containers, volumes and clusters:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// check returns the error with which RegisterTaskDefinition refuses the definition, or nil if it is valid.
func (p spec) check() error {
	if err := p.checkNames(); err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Containers, containerSpec.essential) {
		return clientException("No essential containers found.")
	}
	if !slices.Contains(p.RequiresCompatibilities, "FARGATE") {
		return nil
	}
	if p.NetworkMode != "awsvpc" {
		return clientException("When networkMode=%s, requiresCompatibilities cannot be FARGATE.", p.NetworkMode)
	}
	if !validSize(string(p.CPU), string(p.Memory)) {
		return clientException("No Fargate configuration exists for given values.")
	}
	return nil
}

func (p spec) checkNames() error {
	if !namePattern.MatchString(p.Family) {
		return clientException("Family contains invalid characters, or is empty.")
	}
	if len(p.Containers) == 0 {
		return clientException("Container list cannot be empty.")
	}
	seen := map[string]bool{}
	for _, c := range p.Containers {
		switch {
		case c.Name == "":
			return clientException("Container.name should not be null or empty.")
		case !namePattern.MatchString(c.Name):
			return clientException("Container.name contains invalid characters.")
		case seen[c.Name]:
			return clientException("Container name %q is used twice.", c.Name)
		}
		seen[c.Name] = true
	}
	for _, v := range p.Volumes {
		if v.Name != "" && !namePattern.MatchString(v.Name) {
			return clientException("Volume.name contains invalid characters.")
		}
	}
	return nil
}

func clientException(format string, args ...any) error {
	return &awsjson.Error{Type: "ClientException", Message: fmt.Sprintf(format, args...)}
}

func validSize(cpu, memory string) bool {
	c, cErr := strconv.Atoi(cpu)
	m, mErr := strconv.Atoi(memory)
	return cErr == nil && mErr == nil && fargate.ValidSize(c, m)
}

// Register registers a task definition, given as the JSON of a RegisterTaskDefinition request, and returns its ARN.
// If the definition equals the latest active revision of its family, Register adds no revision and returns that ARN.
// A definition that ECS would refuse is an *awsjson.Error.
func (s *Server) Register(registered json.RawMessage) (string, error) {
	d, err := s.register(registered, true)
	if err != nil {
		return "", err
	}
	return d.arn(s), nil
}

// register adds a revision to the definition's family. With reuse, it returns the latest active revision instead if
// that one is equal.
func (s *Server) register(registered json.RawMessage, reuse bool) (*definition, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, registered); err != nil {
		return nil, &awsjson.Error{Type: "SerializationException", Message: err.Error()}
	}
	d := &definition{Status: "ACTIVE", Registered: compact.Bytes()}
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
	if latest := latestActive(revisions); reuse && latest != nil && bytes.Equal(latest.Registered, d.Registered) {
		return latest, nil
	}
	d.Revision = len(revisions) + 1
	s.definitions[d.Family] = append(revisions, d)
	return d, s.saveDefinition(d)
}

// latestActive returns the latest ACTIVE revision, or nil if there is none.
func latestActive(revisions []*definition) *definition {
	for _, d := range slices.Backward(revisions) {
		if d.Status == "ACTIVE" {
			return d
		}
	}
	return nil
}

// findDefinition returns the definition with the given family, family:revision or ARN, or nil. A family alone means its
// latest active revision.
func (s *Server) findDefinition(name string) *definition {
	name = name[strings.LastIndexByte(name, '/')+1:]
	family, revision, pinned := strings.Cut(name, ":")
	s.mu.Lock()
	defer s.mu.Unlock()
	revisions := s.definitions[family]
	if !pinned {
		return latestActive(revisions)
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
	return s.definitionResponse(d)
}

// definitionResponse returns a definition in the form of the API's answers.
func (s *Server) definitionResponse(d *definition) (any, error) {
	var fields map[string]any
	if err := json.Unmarshal(d.Registered, &fields); err != nil {
		return nil, err
	}
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil })
	tags := fields["tags"]
	delete(fields, "tags")
	fields["taskDefinitionArn"], fields["revision"], fields["status"] = d.arn(s), d.Revision, d.Status
	fields["cpu"], fields["memory"] = string(d.spec.CPU), string(d.spec.Memory)
	response := map[string]any{"taskDefinition": fields}
	if tags != nil {
		response["tags"] = tags
	}
	return response, nil
}

type definitionRequest struct {
	TaskDefinition string `json:"taskDefinition"`
}

func (s *Server) describeTaskDefinition(_ context.Context, in definitionRequest) (any, error) {
	d := s.findDefinition(in.TaskDefinition)
	if d == nil {
		return nil, clientException("Unable to describe task definition.")
	}
	return s.definitionResponse(d)
}

func (s *Server) deregisterTaskDefinition(_ context.Context, in definitionRequest) (any, error) {
	d := s.findDefinition(in.TaskDefinition)
	if d == nil || !strings.Contains(in.TaskDefinition, ":") {
		return nil, clientException("The specified task definition does not exist. Specify family:revision.")
	}
	s.mu.Lock()
	d.Status = "INACTIVE"
	err := s.saveDefinition(d)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.definitionResponse(d)
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
			ofFamily := in.FamilyPrefix == "" || in.FamilyPrefix == family
			ofStatus := in.Status == "" && d.Status == "ACTIVE" || in.Status == d.Status
			if ofFamily && ofStatus {
				arns = append(arns, d.arn(s))
			}
		}
	}
	return map[string]any{"taskDefinitionArns": arns}, nil
}
