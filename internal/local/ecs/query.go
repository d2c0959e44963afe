package ecs

import (
	"context"
	"slices"
	"strings"
)

// findTask returns the task of a cluster with the given ARN or id, or nil. The caller holds Server.mu.
func (s *Server) findTask(cluster, task string) *task {
	id := task[strings.LastIndexByte(task, '/')+1:]
	return s.tasks[s.arn("task/"+cluster+"/"+id)]
}

func (s *Server) stopTask(_ context.Context, in struct {
	Cluster string `json:"cluster"`
	Task    string `json:"task"`
	Reason  string `json:"reason"`
}) (any, error) {
	cluster, err := s.clusterName(in.Cluster)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.dropExpired()
	t := s.findTask(cluster, in.Task)
	s.mu.Unlock()
	if t == nil {
		return nil, invalidParameter("The referenced task was not found.")
	}
	why := stopCause{"UserInitiated", in.Reason}
	if why.reason == "" {
		why.reason = "Task stopped by user"
	}
	s.mu.Lock()
	stopping := t.DesiredStatus == stopped
	s.mu.Unlock()
	if !stopping {
		s.change(t, func() {
			if t.DesiredStatus != stopped {
				t.DesiredStatus, t.StopCode, t.StoppedReason = stopped, why.code, why.reason
			}
		})
		t.requestStop(why)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]any{"task": t.state()}, nil
}

func (s *Server) describeTasks(_ context.Context, in struct {
	Cluster string   `json:"cluster"`
	Tasks   []string `json:"tasks"`
	Include []string `json:"include"`
}) (any, error) {
	cluster, err := s.clusterName(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 || len(in.Tasks) > 100 {
		return nil, invalidParameter("Tasks must be 1 to 100 ids or ARNs.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropExpired()
	tasks, failures := []taskState{}, []failure{}
	for _, name := range in.Tasks {
		t := s.findTask(cluster, name)
		if t == nil {
			id := name[strings.LastIndexByte(name, '/')+1:]
			failures = append(failures, failure{ARN: s.arn("task/" + cluster + "/" + id), Reason: "MISSING"})
			continue
		}
		state := t.state()
		if !slices.Contains(in.Include, "TAGS") {
			state.Tags = nil
		}
		tasks = append(tasks, state)
	}
	return map[string]any{"tasks": tasks, "failures": failures}, nil
}

type listRequest struct {
	Cluster       string `json:"cluster"`
	Family        string `json:"family"`
	LaunchType    string `json:"launchType"`
	StartedBy     string `json:"startedBy"`
	DesiredStatus string `json:"desiredStatus"`
	MaxResults    int    `json:"maxResults"`
	NextToken     string `json:"nextToken"`
}

func (s *Server) listTasks(_ context.Context, in listRequest) (any, error) {
	cluster, err := s.clusterName(in.Cluster)
	if err != nil {
		return nil, err
	}
	if in.StartedBy != "" && (in.Family != "" || in.LaunchType != "" || in.DesiredStatus != "") {
		return nil, invalidParameter("startedBy must be the only filter.")
	}
	desired := in.DesiredStatus
	if desired == "" {
		desired = running
	}
	if !slices.Contains([]string{running, pending, stopped}, desired) {
		return nil, invalidParameter("desiredStatus must be one of RUNNING, PENDING, STOPPED.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropExpired()
	arns := []string{}
	for arn, t := range s.tasks {
		if t.ClusterARN == s.arn("cluster/"+cluster) && t.DesiredStatus == desired && arn > in.NextToken &&
			(in.StartedBy == "" || t.StartedBy == in.StartedBy) &&
			(in.Family == "" || t.definition.Family == in.Family) &&
			(in.LaunchType == "" || t.LaunchType == in.LaunchType) {
			arns = append(arns, arn)
		}
	}
	slices.Sort(arns)
	response := map[string]any{"taskArns": arns}
	if most := min(max(in.MaxResults, 0), 100); most > 0 && len(arns) > most || len(arns) > 100 {
		if most == 0 {
			most = 100
		}
		response["taskArns"], response["nextToken"] = arns[:most], arns[most-1]
	}
	return response, nil
}

// clusterState returns a cluster in the form of the API's answers.
func (s *Server) clusterState(name string) map[string]any {
	return map[string]any{
		"clusterArn": s.arn("cluster/" + name), "clusterName": name, "status": "ACTIVE",
		"capacityProviders": []string{"FARGATE", "FARGATE_SPOT"},
	}
}

func (s *Server) listClusters(context.Context, struct{}) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arns := []string{}
	for name := range s.clusters {
		arns = append(arns, s.arn("cluster/"+name))
	}
	slices.Sort(arns)
	return map[string]any{"clusterArns": arns}, nil
}

func (s *Server) describeClusters(_ context.Context, in struct {
	Clusters []string `json:"clusters"`
}) (any, error) {
	if len(in.Clusters) == 0 {
		in.Clusters = []string{"default"}
	}
	clusters, failures := []any{}, []failure{}
	for _, wanted := range in.Clusters {
		name, err := s.clusterName(wanted)
		if err != nil {
			failures = append(failures, failure{ARN: s.arn("cluster/" + wanted), Reason: "MISSING"})
			continue
		}
		clusters = append(clusters, s.clusterState(name))
	}
	return map[string]any{"clusters": clusters, "failures": failures}, nil
}

func (s *Server) createCluster(_ context.Context, in struct {
	Name string `json:"clusterName"`
}) (any, error) {
	if in.Name == "" {
		in.Name = "default"
	}
	if !namePattern.MatchString(in.Name) {
		return nil, invalidParameter("clusterName must be at most 255 letters, digits, hyphens and underscores.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[in.Name] = true
	return map[string]any{"cluster": s.clusterState(in.Name)}, nil
}

// StartedByValues returns the startedBy of each task that the server knows, sorted. A value occurs once for each of its
// tasks.
func (s *Server) StartedByValues() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, t := range s.tasks {
		values = append(values, t.StartedBy)
	}
	slices.Sort(values)
	return values
}
