package fargate

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"modeldispatch/internal/event"
	"modeldispatch/internal/run"
)

// casings are the ways in which ECS has been seen to write one text.
func casings(text string) []string {
	all := []string{text, strings.ToLower(text), strings.ToUpper(text), strings.ReplaceAll(text, "'", "’"), strings.ReplaceAll(text, " ", "  ")}
	if bare := strings.TrimSuffix(text, "."); bare != text {
		return append(all, bare)
	}
	return append(all, text+".")
}

// verdict is what a text means: its class, with a ! where another try would not help.
type verdict string

func (v verdict) of(o run.Outcome) bool {
	class, permanent := strings.CutSuffix(string(v), "!")
	return string(o.Class) == class && o.Permanent == permanent
}

// failures are reasons of failures[], a 200 that started nothing.
var failures = map[string]verdict{
	"RESOURCE:CPU": "capacity", "RESOURCE:MEMORY": "capacity", "RESOURCE:PORTS": "capacity", "RESOURCE:PORTS_TCP": "capacity",
	"RESOURCE:PORTS_UDP": "capacity", "RESOURCE:ENI": "capacity", "RESOURCE:GPU": "capacity", "AGENT": "capacity",
	"ATTRIBUTE": "misconfigured!", "LOCATION": "misconfigured!", "MISSING": "misconfigured!", "INACTIVE": "misconfigured!",
	"Capacity is unavailable at this time. Please try again later or in a different availability zone": "capacity",
	"You've reached the limit on the number of vCPUs you can run concurrently":                         "quota",
	"You've reached the limit on the number of tasks you can run concurrently":                         "quota",
	"Rate exceeded":                  "capacity", // an answer: its token is used up
	"Something that nobody has seen": "unknown",
	"Missing is only the first word": "unknown",
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for reason, want := range failures {
		for _, text := range casings(reason) {
			for _, f := range []types.Failure{
				{Reason: &text}, {Reason: &text, Detail: aws.String("instance i-0a1b")}, {Detail: &text}, {Arn: aws.String("arn"), Reason: &text},
			} {
				got := failed([]types.Failure{f})
				if !want.of(got) {
					t.Errorf("failures[] with reason %q, detail %q: %v, permanent %t; want %s", aws.ToString(f.Reason), aws.ToString(f.Detail), got, got.Permanent, want)
				}
				if got.Class.SameToken() {
					t.Errorf("failures[] %q would be asked again with the same token: it would be refused again", text)
				}
				if !strings.Contains(got.Detail, strings.TrimSpace(text)) {
					t.Errorf("failures[] %q: the raw text is lost: %q", text, got.Detail)
				}
			}
		}
	}
	for name, none := range map[string][]types.Failure{"no failure": nil, "a failure without a word": {{}}} {
		if got := failed(none); got.Class != run.Unknown {
			t.Errorf("no task and %s is %s", name, got.Class)
		}
	}
}

// errs are RunTask's errors with 400, "CODE: message".
var errs = map[string]verdict{
	"ThrottlingException: Rate exceeded":        "throttled",
	"ThrottlingException: Slow down, please":    "throttled",
	"Throttling: too fast":                      "throttled",
	"RequestThrottled: too fast":                "throttled",
	"ClientException: Rate exceeded":            "throttled",
	"RequestLimitExceeded: Too fast":            "throttled",
	"TooManyRequestsException: Too fast":        "throttled",
	"SlowDown: Please reduce your request rate": "throttled",
	"RequestTimeoutException: no request":       "throttled",
	"RequestTimeout: no request":                "throttled",
	"ServerException: oops":                     "throttled",

	"UnrecognizedClientException: The security token included in the request is invalid.": "throttled",
	"ExpiredTokenException: The security token included in the request is expired":        "throttled",
	"ExpiredToken: expired":                                     "throttled",
	"RequestExpired: Request has expired.":                      "throttled",
	"InvalidClientTokenId: The security token is invalid":       "throttled",
	"MissingAuthenticationToken: Missing Authentication Token":  "throttled",
	"MissingAuthenticationTokenException: no token":             "throttled",
	"InvalidSignatureException: Signature expired: 2 is before": "throttled",
	"IncompleteSignatureException: not a valid key=value pair":  "throttled",
	"IncompleteSignature: not a valid key=value pair":           "throttled",
	"SignatureDoesNotMatch: The request signature differs":      "throttled",
	"AuthFailure: not able to validate":                         "throttled",
	"RequestTimeTooSkewed: The difference is too large":         "throttled",
	"ConflictException: There was a conflict":                   "throttled",

	"ClientException: You have reached the quota of tasks in the PROVISIONING state":                                            "quota",
	"ClientException: You've reached the limit on the number of vCPUs you can run concurrently":                                 "quota",
	"LimitExceededException: Your vCPU limit is 6.":                                                                             "quota",
	"ClientException: Capacity is unavailable at this time. Please try again later or in a different availability zone":         "capacity",
	"ClientException: TaskDefinition not found.":                                                                                "misconfigured!",
	"ClientException: TaskDefinition is inactive":                                                                               "misconfigured!",
	"ClientException: ECS was unable to assume the role 'arn:aws:iam::111122223333:role/x' that was provided for this task.":    "misconfigured!",
	"ClusterNotFoundException: Cluster not found.":                                                                              "misconfigured!",
	"InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.":                 "misconfigured!",
	"InvalidParameterException: Override for container named x is not a container in the TaskDefinition.":                       "misconfigured!",
	"AccessDeniedException: User: x is not authorized to perform: iam:PassRole on resource: x":                                  "misconfigured!",
	"AccessDeniedException: not authorized to perform: ecs:RunTask on resource: task-definition/throttling-exceptions:1":        "misconfigured!",
	"BlockedException: Your Amazon Web Services account was blocked.":                                                           "misconfigured!",
	"LimitExceededException: The limit for the resource was exceeded.":                                                          "misconfigured!",
	"PlatformUnknownException: The specified platform version doesn't exist.":                                                   "misconfigured!",
	"PlatformTaskDefinitionIncompatibilityException: The specified platform version doesn't satisfy the required capabilities.": "misconfigured!",
	"UnsupportedFeatureException: The specified task isn't supported in this Region.":                                           "misconfigured!",
	"InvalidParameterException: The selected task definition is not compatible with the selected compute strategy.":             "misconfigured!",
	"InvalidParameterException: Container Overrides length must be at most 8192":                                                "misconfigured!",
	"SomeNewException: that nobody has seen":                                                                                    "misconfigured!",
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
	for text, want := range errs {
		for _, text := range casings(text) {
			code, message, _ := strings.Cut(text, ": ")
			if got := refusal(answered(400, code, message)); !want.of(got) || !strings.Contains(got.Detail, message) {
				t.Errorf("400 %s is %v, permanent %t; want %s", text, got, got.Permanent, want)
			}
			waits := strings.HasPrefix(strings.ToLower(code), "requesttimeout") || strings.EqualFold(code, "ServerException")
			if indefinite(answered(400, code, message)) != waits || !indefinite(answered(503, code, message)) {
				t.Errorf("%s may start a task: %t with 400, want %t; and with 503 always", text, !waits, waits)
			}
			if got := refusal(answered(503, code, message)); !verdict("throttled").of(got) {
				t.Errorf("503 %s is %v, permanent %t; want throttled: a task may have been started", text, got, got.Permanent)
			}
		}
	}
}

// starts are reasons of tasks that did not start, their own or a container's.
var starts = map[string]verdict{
	"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref x/model:9: not found":                                                                            "image-pull!",
	"CannotPullContainerError: The repository does not exist or may require 'docker login'":                                                                                                           "image-pull!",
	"CannotPullContainerError: Error response from daemon: No such image: x/model:9":                                                                                                                  "image-pull!",
	"CannotPullContainerError: pull access denied for x/model":                                                                                                                                        "image-pull!",
	"CannotPullContainerError: api error AccessDeniedException: User: x is not authorized to perform: ecr:BatchGetImage":                                                                              "image-pull!",
	"CannotPullContainerError: requested action on the resource is denied":                                                                                                                            "image-pull!",
	"CannotPullContainerError: inspect image has been retried 1 time(s): failed to resolve ref: unexpected status code [manifests 1]: 403 Forbidden":                                                  "image-pull!",
	"CannotPullContainerError: ref pull has been retried 5 time(s): httpReadSeeker: unexpected status code 403":                                                                                       "image-pull!",
	"CannotPullContainerError: failed to fetch anonymous token: unexpected status: 401 Unauthorized":                                                                                                  "image-pull!",
	"CannotPullContainerError: Error response from daemon: unauthorized: authentication required":                                                                                                     "image-pull!",
	"CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'":                                            "image-pull!",
	"CannotPullContainerError: no matching manifest for linux/arm64/v8 in the manifest list entries":                                                                                                  "image-pull!",
	"CannotPullContainerError: invalid reference format":                                                                                                                                              "image-pull!",
	"CannotPullECRContainerError: repository does not exist":                                                                                                                                          "image-pull!",
	"CannotPullECRContainerError: AccessDeniedException":                                                                                                                                              "image-pull!",
	"CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp: i/o timeout":                                                                                                            "image-pull",
	"CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: Get 111403222333.dkr.ecr.eu-west-1.amazonaws.com: i/o timeout":                                                    "image-pull",
	"CannotPullContainerError: failed to copy sha256:0f403e: status code [layers 403]: unexpected EOF":                                                                                                "image-pull",
	"CannotPullContainerError: ref pull has been retried 5 time(s): 111122223333.dkr.ecr.eu-west-1.amazonaws.com/denied-claims:403: i/o timeout":                                                      "image-pull",
	"CannotPullContainerError: dial tcp: lookup 111122223333.dkr.ecr.eu-west-1.amazonaws.com on 10.0.0.2:53: no such host":                                                                            "image-pull",
	"CannotPullContainerError: toomanyrequests: You have reached your pull rate limit":                                                                                                                "image-pull",
	"CannotPullContainerError: failed to register layer: no space left on device":                                                                                                                     "image-pull",
	"CannotPullContainerError: x/throttling-exceptions:9: not found":                                                                                                                                  "image-pull!",
	"ResourceInitializationError: unable to pull secrets or registry auth: timeout":                                                                                                                   "start-failed",
	"ResourceInitializationError: failed to initialize logging driver: the specified log group does not exist":                                                                                        "start-failed",
	"ResourceInitializationError: ThrottlingException: Rate exceeded":                                                                                                                                 "start-failed",
	"ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: AccessDeniedException: x is not authorized to perform: secretsmanager:GetSecretValue": "misconfigured!",
	"ResourceInitializationError: unable to pull secrets or registry auth: no identity-based policy: x is not authorized to perform: ssm:GetParameters":                                               "misconfigured!",
	"ECS was unable to assume the role 'arn:aws:iam::111122223333:role/x' that was provided for this task.":                                                                                           "misconfigured!",
	"Timeout waiting for network interface provisioning to complete.":                                                                                                                                 "start-failed",
	"Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'x': InternalServerError":                                                          "start-failed",
	"Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet":                                                                                            "capacity",
	"Unexpected EC2 error while attempting to tag the network interface: TagPolicyViolation":                                                                                                          "misconfigured!",
	"InternalError: unable to create container":                                                                                                                                                       "start-failed",
	"CannotStartContainerError: failed to get container status: x":                                                                                                                                    "start-failed",
	"CannotStartContainerError: failed to create new container runtime task: exec: \"x\": executable file not found in $PATH":                                                                         "start-failed!",
	"CannotStartContainerError: exec: \"/x\": stat /x: no such file or directory":                                                                                                                     "start-failed!",
	"CannotStartContainerError: exec: \"/x\": permission denied":                                                                                                                                      "start-failed!",
	"CannotStartContainerError: \"Rscript\" is not on this machine":                                                                                                                                   "start-failed!",
	"ResourceInitializationError: secret \"X\" is not set: add X=… to .env.local":                                                                                                                     "start-failed!",
	"CannotCreateContainerError: API error (500): devmapper: Thin Pool has free data blocks":                                                                                                          "start-failed",
	"CannotInspectContainerError: Could not transition to inspecting":                                                                                                                                 "start-failed",
	"CannotCreateVolumeError: driver failed":                                                                                                                                                          "start-failed",
	"ContainerRuntimeError: shim died":                                                                                                                                                                "start-failed",
	"ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m: x":                                                                                                    "start-failed",
	"DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s":                                                                                                               "start-failed",
	"The selected task definition is not compatible with the selected compute strategy":                                                                                                               "misconfigured!",
	"Capacity is unavailable at this time. Please try again later or in a different availability zone":                                                                                                "capacity",
	"You've reached the limit on the number of vCPUs you can run concurrently":                                                                                                                        "quota",
	"TaskFailedToStart: RESOURCE:CPU":                                                 "capacity",
	"TaskFailedToStart: RESOURCE:GPU":                                                 "capacity",
	"TaskFailedToStart:RESOURCE:MEMORY":                                               "capacity",
	"TaskFailedToStart: AGENT":                                                        "capacity",
	"TaskFailedToStart: EMPTY CAPACITY PROVIDER":                                      "capacity",
	"TaskFailedToStart: NO ACTIVE INSTANCES":                                          "capacity",
	"TaskFailedToStart: ATTRIBUTE":                                                    "misconfigured!",
	"TaskFailedToStart: LOCATION":                                                     "misconfigured!",
	"TaskFailedToStart: MemberOf placement constraint unsatisfied.":                   "misconfigured!",
	"Your Spot Task was interrupted.":                                                 "interrupted",
	"Host EC2 (instance i-0a1b) terminated.":                                          "interrupted",
	"Host terminated":                                                                 "interrupted",
	"ECS is performing maintenance on the underlying infrastructure hosting the task": "interrupted",
}

// TestReasonsOfTasksThatDidNotStart finds them wherever ECS writes them: at the task or at one of its
// containers beside a text that says nothing, with and without a stopCode.
func TestReasonsOfTasksThatDidNotStart(t *testing.T) {
	t.Parallel()
	for reason, want := range starts {
		for _, text := range casings(reason) {
			at := func(name string) []event.Container {
				return []event.Container{{Name: "init"}, {Name: "model"}, {Name: name, Reason: text}}
			}
			for name, task := range map[string]event.Task{
				"its own":                                {StopCode: "TaskFailedToStart", StoppedReason: text},
				"its own, without a stopCode":            {StoppedReason: text, Containers: at("x")},
				"its own, with another's stopCode":       {StopCode: "taskfailedtostart", StoppedReason: text, Containers: at("x")},
				"the model's":                            {StopCode: "TaskFailedToStart", Containers: at("model")},
				"the model's, beside a generic one":      {StopCode: "TaskFailedToStart", StoppedReason: "Task failed to start", Containers: at("model")},
				"a sidecar's, beside a generic one":      {StopCode: "TaskFailedToStart", StoppedReason: "Taskfailedtostart", Containers: at("sidecar")},
				"the model's, beside the essential text": {StopCode: "EssentialContainerExited", StoppedReason: "Essential container in task exited", Containers: at("model")},
			} {
				if got := Outcome(task, "model"); !want.of(got) || got.Detail != text {
					t.Errorf("%s: reason %q is %v, permanent %t; want %s", name, text, got, got.Permanent, want)
				}
			}
		}
	}
}

// TestEveryRowIsSeen: a row that no text of ECS hits is dead, or has no test.
func TestEveryRowIsSeen(t *testing.T) {
	t.Parallel()
	hits := map[*rule]int{}
	for _, texts := range []map[string]verdict{failures, errs, starts} {
		for text := range texts {
			for _, text := range casings(text) {
				r, _ := row(text)
				hits[r]++
			}
		}
	}
	for i := range rules {
		if hits[&rules[i]] == 0 {
			t.Errorf("no text has the row %q (%s)", rules[i].text, rules[i].class)
		}
	}
}
