package ecs

import (
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

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/local/awsjson"
)

// runRequest holds the fields of a RunTask request that this package reads.
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

// call is a RunTask request with its result. If it has a token, the server remembers it by cluster and token.
type call struct {
	Cluster  string    `json:"cluster"`
	Token    string    `json:"token"`
	Request  string    `json:"request"` // the hash of the request's parameters
	At       time.Time `json:"at"`      // the time of the request
	Tasks    []string  `json:"tasks"`   // the ARNs of the started tasks
	Failures []failure `json:"failures"`
}

func (c *call) key() string { return c.Cluster + " " + c.Token }

// maxTokenAge is the longest life of a token:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
const maxTokenAge = 24 * time.Hour

func invalidParameter(format string, args ...any) error {
	return &awsjson.Error{Type: "InvalidParameterException", Message: fmt.Sprintf(format, args...)}
}

var (
	startedByPattern = regexp.MustCompile(`^[A-Za-z0-9/_-]{0,128}$`)
	tokenPattern     = regexp.MustCompile(`^[!-~]{0,64}$`)
	tagPattern       = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// maxOverrides limits the overrides of a task, in bytes of JSON. ECS limits the characters, JSON punctuation included:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
const maxOverrides = 8192

// check returns the error with which RunTask refuses the request alone, before it reads the task definition.
func (r runRequest) check() error {
	launchTypes := []string{"FARGATE", "EC2", "EXTERNAL", "MANAGED_INSTANCES"}
	text, err := json.Marshal(r.Overrides)
	switch {
	case err != nil:
		return err
	case r.Count != nil && (*r.Count < 1 || *r.Count > 10):
		return invalidParameter("Count must be between 1 and 10.")
	case !startedByPattern.MatchString(r.StartedBy):
		return invalidParameter("startedBy must be at most 128 letters, digits, hyphens, slashes and underscores.")
	case !tokenPattern.MatchString(r.ClientToken):
		return invalidParameter("clientToken must be at most 64 characters of ASCII 33 to 126.")
	case len(text) > maxOverrides:
		return invalidParameter("Container Overrides length must be at most %d", maxOverrides)
	case r.LaunchType != "" && len(r.CapacityProviderStrategy) > 0:
		return invalidParameter("Specify either a launch type or a capacity provider strategy, not both.")
	case r.LaunchType != "" && !slices.Contains(launchTypes, r.LaunchType):
		return invalidParameter("Launch type %q is not one of EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES.", r.LaunchType)
	case len(r.Tags) > 50:
		return invalidParameter("Tags can have at most 50 items.")
	}
	for _, t := range r.Tags {
		if !t.valid() {
			return invalidParameter("Tag %q is not valid.", t.Key)
		}
	}
	return nil
}

// valid reports whether ECS accepts the tag. The prefix "aws:" is AWS's own, in any case.
func (t tag) valid() bool {
	return t.Key != "" && len(t.Key) <= 128 && len(t.Value) <= 256 &&
		tagPattern.MatchString(t.Key+t.Value) && !strings.HasPrefix(strings.ToLower(t.Key), "aws:")
}

// checkWith returns the error with which RunTask refuses the request together with its task definition.
func (r runRequest) checkWith(p spec) error {
	if p.NetworkMode == "awsvpc" && !r.hasSubnets() {
		return invalidParameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	for _, o := range r.Overrides.ContainerOverrides {
		if !slices.ContainsFunc(p.Containers, func(c containerSpec) bool { return c.Name == o.Name }) {
			return invalidParameter("Override for container named %s is not a container in the TaskDefinition.", o.Name)
		}
	}
	if cpu, memory := r.size(p); r.isFargate() && !validSize(cpu, memory) {
		const format = "No Fargate configuration exists for given values: %s CPU, %s memory. See the AWS documentation for supported values."
		return invalidParameter(format, cpu, memory)
	}
	return nil
}

func (r runRequest) hasSubnets() bool {
	n := r.NetworkConfiguration
	return n != nil && n.Awsvpc != nil && len(n.Awsvpc.Subnets) > 0
}

// size returns the task's CPU units and its memory in MiB: those of the overrides, or else of the definition.
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

// isFargate reports whether the task runs on Fargate, On-Demand or Spot.
func (r runRequest) isFargate() bool {
	if len(r.CapacityProviderStrategy) > 0 {
		return r.LaunchType == "FARGATE" || strings.HasPrefix(r.CapacityProviderStrategy[0].CapacityProvider, "FARGATE")
	}
	return r.LaunchType == "FARGATE"
}

// clusterName returns the name of the cluster with the given name or ARN. "" means the cluster `default`. An unknown
// cluster is a ClusterNotFoundException.
func (s *Server) clusterName(name string) (string, error) {
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
	cluster, err := s.clusterName(in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	c := &call{Cluster: cluster, Token: in.ClientToken, Request: fingerprint(request), At: s.Now()}
	if response, err := s.replay(c); response != nil || err != nil {
		return response, err
	}
	d := s.findDefinition(in.TaskDefinition)
	switch {
	case d == nil:
		return nil, clientException("TaskDefinition not found.")
	case d.Status != "ACTIVE":
		return nil, clientException("TaskDefinition is inactive")
	}
	if err := in.checkWith(d.spec); err != nil {
		return nil, err
	}
	return s.launch(c, in, d)
}

func (r runRequest) asked(d *definition) LaunchRequest {
	_, memory := r.size(d.spec)
	mib, _ := strconv.Atoi(memory)
	a := LaunchRequest{StartedBy: r.StartedBy, Family: d.Family, LaunchType: r.LaunchType, MemoryMiB: mib}
	if len(r.CapacityProviderStrategy) > 0 {
		a.CapacityProvider = r.CapacityProviderStrategy[0].CapacityProvider
	}
	return a
}

// fingerprint returns a hash of a request's parameters that does not depend on their order.
func fingerprint(request json.RawMessage) string {
	parameters, err := jsonread.Value(request)
	if err != nil {
		return ""
	}
	canonical, err := json.Marshal(parameters) // sorts the keys
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// launch answers a new call: it applies the faults, saves the call with its tasks and then starts the tasks.
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
	if response, err := s.admit(c, started); response != nil || err != nil {
		return response, err
	}
	response := s.response(c) // before the tasks start: it shows them in PROVISIONING, as ECS does
	for _, t := range started {
		s.emit(t.state())
		go s.runLifecycle(t)
	}
	if refusal != nil && refusal.Started {
		return nil, refusal.err()
	}
	return response, nil
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

// admit saves a call and its tasks and adds them to the server. If a concurrent call with the same token was first,
// admit saves nothing and returns the response to that call. It refuses all calls once the server is closing.
func (s *Server) admit(c *call, started []*task) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, &awsjson.Error{Type: "ServerException", Message: "The local stack is stopping.", Status: http.StatusInternalServerError}
	}
	if c.Token != "" && s.calls[c.key()] != nil {
		return s.replayLocked(c, s.calls[c.key()])
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

// replay returns the response to an earlier call with the same token, or nil if there is none.
func (s *Server) replay(c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropExpired()
	known := s.calls[c.key()]
	if c.Token == "" || known == nil {
		return nil, nil
	}
	return s.replayLocked(c, known)
}

// replayLocked returns the response to the known call, or a ConflictException if c has other parameters.
func (s *Server) replayLocked(c, known *call) (any, error) {
	if c.Request != known.Request {
		return nil, &awsjson.Error{
			Type: "ConflictException", Message: "A request with this clientToken and other parameters was made before.",
			Extra: map[string]any{"resourceIds": known.Tasks},
		}
	}
	return s.responseLocked(known), nil
}

func (s *Server) response(c *call) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.responseLocked(c)
}

// responseLocked returns the response to a call, with the current state of its tasks. A stopped task has only its ARN
// and its statuses there, as in ECS.
func (s *Server) responseLocked(c *call) any {
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

// dropExpired forgets tasks that stopped longer than the retention ago, and calls whose token has expired. A token
// expires after maxTokenAge, or when the server has forgotten all tasks of its call. The token of a call without tasks
// expires after the retention. The caller holds Server.mu.
func (s *Server) dropExpired() {
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

// newTask returns a task in PROVISIONING. The server does not know it yet.
func (s *Server) newTask(cluster string, in runRequest, d *definition) *task {
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	t := &task{definition: d, stopRequests: make(chan stopCause, 8)}
	t.taskState = taskState{
		ARN: s.arn("task/" + cluster + "/" + id), ClusterARN: s.arn("cluster/" + cluster), DefinitionARN: d.arn(s),
		Group: in.Group, StartedBy: in.StartedBy, LaunchType: in.LaunchType, PlatformVersion: "1.4.0",
		LastStatus: provisioning, DesiredStatus: running, Version: 1, Overrides: in.Overrides, Tags: in.Tags, CreatedAt: timestamp{s.Now().UTC()},
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
			ARN: s.arn("container/" + cluster + "/" + id + "/" + uuid.NewString()), TaskARN: t.ARN,
			Name: c.Name, Image: c.Image, LastStatus: pending, CPU: "0",
		})
	}
	return t
}
