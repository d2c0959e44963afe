package fargate

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"net/http"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

// casings are the ways in which ECS has been seen to write one text.
func casings(text string) []string {
	return []string{text, strings.ToLower(text), strings.ToUpper(text), strings.ReplaceAll(text, "'", "’"), text + "."}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]run.Class{
		"RESOURCE:CPU":       run.Capacity,
		"RESOURCE:MEMORY":    run.Capacity,
		"RESOURCE:PORTS_TCP": run.Capacity,
		"RESOURCE:ENI":       run.Capacity,
		"AGENT":              run.Capacity,
		"ATTRIBUTE":          run.Misconfigured,
		"Capacity is unavailable at this time. Please try again later or in a different availability zone": run.Capacity,
		"You've reached the limit on the number of vCPUs you can run concurrently":                         run.Quota,
		"You've reached the limit on the number of tasks you can run concurrently":                         run.Quota,
		"Something that nobody has seen": run.Unknown,
	} {
		for _, text := range casings(reason) {
			if reason == "AGENT" && strings.HasSuffix(text, ".") {
				continue // a code, not a sentence
			}
			got := failed([]types.Failure{{Reason: aws.String(text)}})
			if got.Class != want {
				t.Errorf("failures[] %q is %s, want %s", text, got.Class, want)
			}
			if got.Class.SameToken() {
				t.Errorf("failures[] %q would be asked again with the same token: it would be refused again", text)
			}
			if !strings.Contains(got.Detail, text) {
				t.Errorf("failures[] %q: the raw text is lost: %q", text, got.Detail)
			}
		}
	}
	if got := failed(nil); got.Class != run.Unknown {
		t.Errorf("no task and no failure is %s", got.Class)
	}
	if got := failed([]types.Failure{{}}); got.Class != run.Unknown {
		t.Errorf("a failure without a reason is %s", got.Class)
	}
}

// answered is an error as the SDK gives it for an HTTP answer.
func answered(status int, code, message string) error {
	return &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err:      &smithy.GenericAPIError{Code: code, Message: message},
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want run.Class
	}{
		"throttled":              {answered(400, "ThrottlingException", "Rate exceeded"), run.Throttled},
		"throttled in a message": {answered(400, "ClientException", "Rate exceeded"), run.Throttled},
		"server error":           {answered(500, "ServerException", "Service Unavailable"), run.Throttled},
		"server error with 400":  {answered(400, "ServerException", "oops"), run.Throttled},
		"bad gateway":            {answered(502, "UnknownError", "<html>"), run.Throttled},
		"no answer":              {errors.New("connection reset by peer"), run.Throttled},
		"expired credentials":    {answered(400, "ExpiredTokenException", "expired"), run.Throttled},
		"tasks in PROVISIONING":  {answered(400, "ClientException", "You have reached the quota of tasks in the PROVISIONING state"), run.Quota},
		"access denied":          {answered(400, "AccessDeniedException", "not authorized to perform: iam:PassRole"), run.Misconfigured},
		"no such cluster":        {answered(400, "ClusterNotFoundException", "Cluster not found."), run.Misconfigured},
		"bad parameter":          {answered(400, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."), run.Misconfigured},
		"inactive definition":    {answered(400, "ClientException", "TaskDefinition is inactive"), run.Misconfigured},
		"blocked account":        {answered(400, "BlockedException", "Your account has been blocked."), run.Misconfigured},
		"conflict without tasks": {answered(400, "ConflictException", "token reused"), run.Misconfigured},
	} {
		got := refusal(c.err)
		if got.Class != c.want || got.Permanent != (c.want == run.Misconfigured) {
			t.Errorf("%s: %s, permanent %t; want %s", name, got.Class, got.Permanent, c.want)
		}
	}
}

func code(n int) *int { return &n }

func TestOutcome(t *testing.T) {
	t.Parallel()
	model := func(exit *int, reason string) []event.Container {
		return []event.Container{{Name: "model", ExitCode: exit, Reason: reason}}
	}
	const essential = "Essential container in task exited"
	for name, c := range map[string]struct {
		task      event.Task
		want      run.Class
		permanent bool
	}{
		"exit 0":                        {event.Task{StopCode: "EssentialContainerExited", StoppedReason: essential, Containers: model(code(0), "")}, run.OK, false},
		"exit 1":                        {event.Task{StopCode: "EssentialContainerExited", StoppedReason: essential, Containers: model(code(1), "")}, run.ModelError, false},
		"no exit code":                  {event.Task{StopCode: "EssentialContainerExited", StoppedReason: essential, Containers: model(nil, "")}, run.Unknown, false},
		"no containers at all":          {event.Task{}, run.Unknown, false},
		"137 alone is no out of memory": {event.Task{StopCode: "EssentialContainerExited", Containers: model(code(137), "")}, run.ModelError, false},
		"out of memory, 137":            {event.Task{StopCode: "EssentialContainerExited", Containers: model(code(137), "OutOfMemoryError: Container killed due to memory usage")}, run.OutOfMemory, false},
		"out of memory, exit 1, lower":  {event.Task{StopCode: "EssentialContainerExited", Containers: model(code(1), "OutOfMemoryError: container killed due to memory usage")}, run.OutOfMemory, false},
		"out of memory of the second":   {event.Task{Containers: append([]event.Container{{Name: "sidecar", ExitCode: code(143)}}, model(code(1), "OutOfMemoryError: Container killed")...)}, run.OutOfMemory, false},
		"out of memory in the task":     {event.Task{StoppedReason: "OutOfMemoryError: Container killed due to memory usage", Containers: model(code(137), "")}, run.OutOfMemory, false},
		"stopped by hand":               {event.Task{StopCode: "UserInitiated", StoppedReason: "Task stopped by user", Containers: model(code(143), "")}, run.Stopped, false},
		"spot":                          {event.Task{StopCode: "SpotInterruption", StoppedReason: "Your Spot Task was interrupted.", Containers: model(code(143), "")}, run.Interrupted, false},
		"spot, the other code":          {event.Task{StopCode: "TerminationNotice", StoppedReason: "Your Spot Task was interrupted.", Containers: model(code(137), "")}, run.Interrupted, false},
		"spot without a code":           {event.Task{StoppedReason: "Your Spot Task was interrupted.", Containers: model(code(0), "")}, run.Interrupted, false},
		"maintenance":                   {event.Task{StoppedReason: "ECS is performing maintenance on the underlying infrastructure hosting the task", Containers: model(code(137), "")}, run.Interrupted, false},
		"host gone":                     {event.Task{StopCode: "TerminationNotice", StoppedReason: "Host EC2 (instance i-0a1b) terminated."}, run.Interrupted, false},
		"image not there":               {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref x/model:9: not found"}, run.ImagePull, true},
		"image of another platform":     {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"}, run.ImagePull, true},
		"image pull timed out":          {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp: i/o timeout"}, run.ImagePull, false},
		"secrets":                       {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "ResourceInitializationError: unable to pull secrets or registry auth: timeout"}, run.StartFailed, false},
		"network interface":             {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Timeout waiting for network interface provisioning to complete."}, run.StartFailed, false},
		"subnet is full":                {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet"}, run.Capacity, false},
		"tag policy":                    {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Unexpected EC2 error while attempting to tag the network interface: TagPolicyViolation"}, run.Misconfigured, true},
		"written without blanks":        {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "Taskfailedtostart"}, run.StartFailed, false},
		"throttled while starting":      {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "ResourceInitializationError: ThrottlingException: Rate exceeded"}, run.StartFailed, false},
		"no capacity provider":          {event.Task{StopCode: "TaskFailedToStart", StoppedReason: "TaskFailedToStart: EMPTY CAPACITY PROVIDER"}, run.Capacity, false},
		"reason at the container":       {event.Task{StopCode: "TaskFailedToStart", Containers: model(nil, "CannotPullContainerError: repository does not exist")}, run.ImagePull, true},
		"command not here":              {event.Task{StopCode: "TaskFailedToStart", StoppedReason: `CannotStartContainerError: "Rscript" is not on this machine`}, run.StartFailed, true},
		"starts with another case":      {event.Task{StopCode: "taskfailedtostart", StoppedReason: "INTERNALERROR: unable to create container"}, run.StartFailed, false},
	} {
		got := Outcome(c.task, "model")
		if got.Class != c.want || got.Permanent != c.permanent {
			t.Errorf("%s: %v, permanent %t; want %s, %t", name, got, got.Permanent, c.want, c.permanent)
		}
	}
}

func TestASignalIsNamed(t *testing.T) {
	t.Parallel()
	got := Outcome(event.Task{StopCode: "EssentialContainerExited", Containers: []event.Container{{Name: "model", ExitCode: code(137)}}}, "model")
	if got.Detail != "exit code 137, signal 9 (killed)" {
		t.Errorf("detail is %q", got.Detail)
	}
}
