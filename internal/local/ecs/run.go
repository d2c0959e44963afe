package ecs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"modeldispatch/internal/local/awsjson"
)

// runRequest is RunTask's request; members that do not matter here are not read.
type runRequest struct {
	Cluster                  string          `json:"cluster"`
	TaskDefinition           string          `json:"taskDefinition"`
	Count                    *int            `json:"count"`
	LaunchType               string          `json:"launchType"`
	CapacityProviderStrategy []strategyItem  `json:"capacityProviderStrategy"`
	NetworkConfiguration     *networkRequest `json:"networkConfiguration"`
	Overrides                overrides       `json:"overrides"`
	StartedBy                string          `json:"startedBy"`
	ClientToken              string          `json:"clientToken"`
	Group                    string          `json:"group"`
	Tags                     []tag           `json:"tags"`
}

type strategyItem struct {
	CapacityProvider string `json:"capacityProvider"`
}

type networkRequest struct {
	Awsvpc *struct {
		Subnets []string `json:"subnets"`
	} `json:"awsvpcConfiguration"`
}

// failure is an item of failures[].
type failure struct {
	ARN    string `json:"arn,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// call is what a token stands for.
type call struct {
	Cluster  string    `json:"cluster"`
	Token    string    `json:"token"`
	Request  string    `json:"request"` // hash of its parameters
	At       time.Time `json:"at"`
	Tasks    []string  `json:"tasks"` // ARNs
	Failures []failure `json:"failures"`
}

func (c *call) key() string { return c.Cluster + " " + c.Token }

// maxTokenAge is how long a token lives at most.
const maxTokenAge = 24 * time.Hour

func invalid(format string, args ...any) error {
	return &awsjson.Error{Type: "InvalidParameterException", Message: fmt.Sprintf(format, args...)}
}

var (
	startedByForm = regexp.MustCompile(`^[A-Za-z0-9/_-]{0,128}$`)
	tokenForm     = regexp.MustCompile(`^[!-~]{0,64}$`)
	tagForm       = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// maxOverrides is how many characters the overrides of a task may have.
const maxOverrides = 8192

// check is what RunTask refuses before it looks at the task definition.
func (r runRequest) check() error {
	text, err := json.Marshal(r.Overrides)
	switch {
	case err != nil:
		return err
	case r.Count != nil && (*r.Count < 1 || *r.Count > 10):
		return invalid("Count must be between 1 and 10.")
	case !startedByForm.MatchString(r.StartedBy):
		return invalid("startedBy must be at most 128 letters, digits, hyphens, slashes and underscores.")
	case !tokenForm.MatchString(r.ClientToken):
		return invalid("clientToken must be at most 64 characters of ASCII 33 to 126.")
	case len(text) > maxOverrides:
		return invalid("Container Overrides length must be at most %d", maxOverrides)
	case r.LaunchType != "" && len(r.CapacityProviderStrategy) > 0:
		return invalid("Specify either a launch type or a capacity provider strategy, not both.")
	case r.LaunchType != "" && !slices.Contains([]string{"FARGATE", "EC2", "EXTERNAL", "MANAGED_INSTANCES"}, r.LaunchType):
		return invalid("Launch type %q is not one of EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES.", r.LaunchType)
	case len(r.Tags) > 50:
		return invalid("Tags can have at most 50 items.")
	}
	for _, t := range r.Tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || !tagForm.MatchString(t.Key+t.Value) || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalid("Tag %q is not valid.", t.Key)
		}
	}
	return nil
}

// checkWith is what RunTask refuses of a request and its task definition together.
func (r runRequest) checkWith(p spec) error {
	if p.NetworkMode == "awsvpc" && (r.NetworkConfiguration == nil || r.NetworkConfiguration.Awsvpc == nil || len(r.NetworkConfiguration.Awsvpc.Subnets) == 0) {
		return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	for _, o := range r.Overrides.ContainerOverrides {
		if !slices.ContainsFunc(p.Containers, func(c containerSpec) bool { return c.Name == o.Name }) {
			return invalid("Override for container named %s is not a container in the TaskDefinition.", o.Name)
		}
	}
	if cpu, memory := r.size(p); r.fargate() && !validSize(cpu, memory) {
		return invalid("No Fargate configuration exists for given values: %s CPU, %s memory. See the AWS documentation for supported values.", cpu, memory)
	}
	return nil
}

func (r runRequest) size(p spec) (cpu, memory string) {
	cpu, memory = string(p.CPU), string(p.Memory)
	if r.Overrides.CPU != "" {
		cpu = r.Overrides.CPU
	}
	if r.Overrides.Memory != "" {
		memory = r.Overrides.Memory
	}
	return cpu, memory
}

func (r runRequest) fargate() bool {
	return r.LaunchType == "FARGATE" || len(r.CapacityProviderStrategy) > 0 && strings.HasPrefix(r.CapacityProviderStrategy[0].CapacityProvider, "FARGATE")
}

// cluster is a cluster's name, from its name or ARN.
func (s *Server) cluster(name string) (string, error) {
	name = name[strings.LastIndexByte(name, '/')+1:]
	if name == "" {
		name = "default"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clusters[name] {
		return "", &awsjson.Error{Type: "ClusterNotFoundException", Message: "Cluster not found."}
	}
	return name, nil
}

func (s *Server) runTask(_ context.Context, request json.RawMessage) (any, error) {
	var in runRequest
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, &awsjson.Error{Type: "SerializationException", Message: err.Error()}
	}
	cluster, err := s.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	c := &call{Cluster: cluster, Token: in.ClientToken, Request: fingerprint(request), At: s.Now()}
	if answer, err := s.replay(c); answer != nil || err != nil {
		return answer, err
	}
	d := s.definition(in.TaskDefinition)
	switch {
	case d == nil:
		return nil, &awsjson.Error{Type: "ClientException", Message: "TaskDefinition not found."}
	case d.Status != "ACTIVE":
		return nil, &awsjson.Error{Type: "ClientException", Message: "TaskDefinition is inactive"}
	}
	if err := in.checkWith(d.spec); err != nil {
		return nil, err
	}
	return s.launch(c, in, d)
}

func (r runRequest) asked(d *definition) Asked {
	_, memory := r.size(d.spec)
	mib, _ := strconv.Atoi(memory)
	a := Asked{StartedBy: r.StartedBy, Family: d.Family, LaunchType: r.LaunchType, MemoryMiB: mib}
	if len(r.CapacityProviderStrategy) > 0 {
		a.CapacityProvider = r.CapacityProviderStrategy[0].CapacityProvider
	}
	return a
}

// fingerprint is a hash of a request's parameters, whatever their order.
func fingerprint(request json.RawMessage) string {
	var parameters any
	in := json.NewDecoder(bytes.NewReader(request))
	in.UseNumber()
	if err := in.Decode(&parameters); err != nil {
		return ""
	}
	plain, err := json.Marshal(parameters)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(plain)
	return hex.EncodeToString(sum[:])
}

// launch makes the tasks of a call that has not been made before. They are written down first.
func (s *Server) launch(c *call, in runRequest, d *definition) (any, error) {
	var refusal *Refusal
	if s.Faults.RunTask != nil {
		refusal = s.Faults.RunTask(in.asked(d))
	}
	if refusal != nil && refusal.Failure == "" && !refusal.Started {
		return nil, refusal.err()
	}
	var started []*task
	if refusal != nil && refusal.Failure != "" {
		c.Failures = []failure{{Reason: refusal.Failure}}
	} else {
		for range valueOr(in.Count, 1) {
			started = append(started, s.newTask(c.Cluster, in, d))
		}
	}
	for _, t := range started {
		c.Tasks = append(c.Tasks, t.ARN)
	}
	if answer, err := s.admit(c, started); answer != nil || err != nil {
		return answer, err
	}
	answer := s.answer(c) // as they were made: nothing of their lives is in it
	for _, t := range started {
		s.emit(t.state())
		go s.life(t)
	}
	if refusal != nil && refusal.Started {
		return nil, refusal.err()
	}
	return answer, nil
}

func valueOr(v *int, or int) int {
	if v == nil {
		return or
	}
	return *v
}

func (r Refusal) err() error {
	status := r.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return &awsjson.Error{Type: r.Type, Message: r.Message, Status: status}
}

// admit writes a call and its tasks down, unless another call with the token came first.
func (s *Server) admit(c *call, started []*task) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, &awsjson.Error{Type: "ServerException", Message: "The local stack is stopping.", Status: http.StatusInternalServerError}
	}
	if c.Token != "" && s.calls[c.key()] != nil {
		return s.replayed(c, s.calls[c.key()])
	}
	if err := s.saveCall(c, started); err != nil {
		return nil, err
	}
	if c.Token != "" {
		s.calls[c.key()] = c
	}
	for _, t := range started {
		s.tasks[t.ARN] = t
		s.live.Add(1)
	}
	return nil, nil
}

// replay answers a call whose token is known.
func (s *Server) replay(c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	known := s.calls[c.key()]
	if c.Token == "" || known == nil {
		return nil, nil
	}
	return s.replayed(c, known)
}

func (s *Server) replayed(c, known *call) (any, error) {
	if c.Request != known.Request {
		return nil, &awsjson.Error{
			Type: "ConflictException", Message: "A request with this clientToken and other parameters was made before.",
			Extra: map[string]any{"resourceIds": known.Tasks},
		}
	}
	return s.answerLocked(known), nil
}

func (s *Server) answer(c *call) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answerLocked(c)
}

// answerLocked shows a call's tasks as they are now; of a stopped one only its statuses are shown.
func (s *Server) answerLocked(c *call) any {
	tasks := []any{}
	for _, arn := range c.Tasks {
		t := s.tasks[arn]
		switch {
		case t == nil:
		case t.LastStatus == stopped:
			tasks = append(tasks, map[string]string{"taskArn": t.ARN, "lastStatus": t.LastStatus, "desiredStatus": t.DesiredStatus})
		default:
			tasks = append(tasks, t.state())
		}
	}
	failures := c.Failures
	if failures == nil {
		failures = []failure{}
	}
	return map[string]any{"tasks": tasks, "failures": failures}
}

// forget drops tasks and tokens whose time is over.
func (s *Server) forget() {
	now := s.Now()
	for arn, t := range s.tasks {
		if t.LastStatus == stopped && now.Sub(t.StoppedAt.Time) > retention {
			delete(s.tasks, arn)
			s.dropTask(arn)
		}
	}
	for key, c := range s.calls {
		live := slices.ContainsFunc(c.Tasks, func(arn string) bool { return s.tasks[arn] != nil })
		if age := now.Sub(c.At); age > maxTokenAge || !live && (len(c.Tasks) > 0 || age > retention) {
			delete(s.calls, key)
			s.dropCall(key)
		}
	}
}

// newTask is a task that is about to be started.
func (s *Server) newTask(cluster string, in runRequest, d *definition) *task {
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	t := &task{definition: d, stops: make(chan stop, 8)}
	t.taskState = taskState{
		ARN: s.arn("task/" + cluster + "/" + id), ClusterARN: s.arn("cluster/" + cluster), DefinitionARN: d.arn(s),
		Group: in.Group, StartedBy: in.StartedBy, LaunchType: in.LaunchType, PlatformVersion: "1.4.0",
		LastStatus: provisioning, DesiredStatus: running, Version: 1, Overrides: in.Overrides, Tags: in.Tags, CreatedAt: stamp{s.Now().UTC()},
		Attachments: []attachment{{ID: uuid.NewString(), Type: "ElasticNetworkInterface", Status: "PRECREATED", Details: []pair{}}},
	}
	if t.Group == "" {
		t.Group = "family:" + d.Family
	}
	if len(in.CapacityProviderStrategy) > 0 {
		t.CapacityProvider = in.CapacityProviderStrategy[0].CapacityProvider
		t.LaunchType = "FARGATE"
	}
	if t.Overrides.ContainerOverrides == nil {
		t.Overrides.ContainerOverrides = []containerOverride{}
	}
	t.CPU, t.Memory = in.size(d.spec)
	for _, c := range d.spec.Containers {
		t.Containers = append(t.Containers, containerState{
			ARN: s.arn("container/" + cluster + "/" + id + "/" + uuid.NewString()), TaskARN: t.ARN, Name: c.Name, Image: c.Image, LastStatus: pending, CPU: "0",
		})
	}
	return t
}
