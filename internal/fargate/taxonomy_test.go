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

// casings returns the variants in which ECS writes a text.
func casings(text string) []string {
	all := []string{
		text, strings.ToLower(text), strings.ToUpper(text),
		strings.ReplaceAll(text, "'", "’"), strings.ReplaceAll(text, " ", "  "),
	}
	if bare := strings.TrimSuffix(text, "."); bare != text {
		return append(all, bare)
	}
	return append(all, text+".")
}

// expected is the class that a text must get. It ends with ! if the outcome must be permanent.
type expected string

// matches reports whether an outcome has the expected class and permanence.
func (e expected) matches(o run.Outcome) bool {
	class, permanent := strings.CutSuffix(string(e), "!")
	return string(o.Class) == class && o.Permanent == permanent
}

// byText returns the expected class of each text.
func byText(texts map[expected][]string) map[string]expected {
	all := map[string]expected{}
	for class, list := range texts {
		for _, text := range list {
			if _, twice := all[text]; twice {
				panic("listed twice: " + text)
			}
			all[text] = class
		}
	}
	return all
}

// failures lists reasons in failures[] of a 200 answer without a task.
var failures = byText(map[expected][]string{
	"capacity": {
		"RESOURCE:CPU",
		"RESOURCE:MEMORY",
		"RESOURCE:PORTS",
		"RESOURCE:PORTS_TCP",
		"RESOURCE:PORTS_UDP",
		"RESOURCE:ENI",
		"RESOURCE:GPU",
		"AGENT",
		"Capacity is unavailable at this time. Please try again later or in a different availability zone",
		"Rate exceeded", // RunTask has answered: the same client token gets no other answer
	},
	"misconfigured!": {
		"ATTRIBUTE",
		"LOCATION",
		"MISSING",
		"INACTIVE",
	},
	"quota": {
		"You've reached the limit on the number of vCPUs you can run concurrently",
		"You've reached the limit on the number of tasks you can run concurrently",
	},
	"unknown": {
		"Some unknown reason",
		"Missing is only the first word",
	},
})

func TestFailures(t *testing.T) {
	t.Parallel()
	for reason, want := range failures {
		for _, text := range casings(reason) {
			for _, f := range []types.Failure{
				{Reason: &text}, {Reason: &text, Detail: aws.String("instance i-0a1b")}, {Detail: &text}, {Arn: aws.String("arn"), Reason: &text},
			} {
				got := refusalFromFailures([]types.Failure{f})
				if !want.matches(got) {
					t.Errorf("failures[] with reason %q, detail %q: %v, permanent %t; want %s",
						aws.ToString(f.Reason), aws.ToString(f.Detail), got, got.Permanent, want)
				}
				if got.Class.KeepsToken() {
					t.Errorf("failures[] %q: class %s keeps the client token, which would get the same answer again", text, got.Class)
				}
				if !strings.Contains(got.Detail, strings.TrimSpace(text)) {
					t.Errorf("failures[] %q: the detail %q does not contain the text", text, got.Detail)
				}
			}
		}
	}
	for name, none := range map[string][]types.Failure{"no failure": nil, "an empty failure": {{}}} {
		if got := refusalFromFailures(none); got.Class != run.ClassUnknown {
			t.Errorf("no task and %s: class %s, want %s", name, got.Class, run.ClassUnknown)
		}
	}
}

// errs lists errors of RunTask with status 400, as "CODE: message".
var errs = byText(map[expected][]string{
	"throttled": {
		"ThrottlingException: Rate exceeded",
		"ThrottlingException: Slow down, please",
		"Throttling: too fast",
		"RequestThrottled: too fast",
		"ClientException: Rate exceeded",
		"RequestLimitExceeded: Too fast",
		"TooManyRequestsException: Too fast",
		"SlowDown: Please reduce your request rate",
		"RequestTimeoutException: no request",
		"RequestTimeout: no request",
		"ServerException: oops",
		"UnrecognizedClientException: The security token included in the request is invalid.",
		"ExpiredTokenException: The security token included in the request is expired",
		"ExpiredToken: expired",
		"RequestExpired: Request has expired.",
		"InvalidClientTokenId: The security token is invalid",
		"MissingAuthenticationToken: Missing Authentication Token",
		"MissingAuthenticationTokenException: no token",
		"InvalidSignatureException: Signature expired: 2 is before",
		"IncompleteSignatureException: not a valid key=value pair",
		"IncompleteSignature: not a valid key=value pair",
		"SignatureDoesNotMatch: The request signature differs",
		"AuthFailure: not able to validate",
		"RequestTimeTooSkewed: The difference is too large",
		"ConflictException: There was a conflict",
	},
	"quota": {
		"ClientException: You have reached the quota of tasks in the PROVISIONING state",
		"ClientException: You've reached the limit on the number of vCPUs you can run concurrently",
		"LimitExceededException: Your vCPU limit is 6.",
	},
	"capacity": {
		"ClientException: Capacity is unavailable at this time. Please try again later or in a " +
			"different availability zone",
	},
	"misconfigured!": {
		"ClientException: TaskDefinition not found.",
		"ClientException: TaskDefinition is inactive",
		"ClientException: ECS was unable to assume the role 'arn:aws:iam::111122223333:role/x' that " +
			"was provided for this task.",
		"ClusterNotFoundException: Cluster not found.",
		"InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.",
		"InvalidParameterException: Override for container named x is not a container in the TaskDefinition.",
		"AccessDeniedException: User: x is not authorized to perform: iam:PassRole on resource: x",
		"AccessDeniedException: not authorized to perform: ecs:RunTask on resource: " +
			"task-definition/throttling-exceptions:1",
		"BlockedException: Your Amazon Web Services account was blocked.",
		"LimitExceededException: The limit for the resource was exceeded.",
		"PlatformUnknownException: The specified platform version doesn't exist.",
		"PlatformTaskDefinitionIncompatibilityException: The specified platform version doesn't " +
			"satisfy the required capabilities.",
		"UnsupportedFeatureException: The specified task isn't supported in this Region.",
		"InvalidParameterException: The selected task definition is not compatible with the selected compute strategy.",
		"InvalidParameterException: Container Overrides length must be at most 8192",
		"SomeNewException: some unknown message",
	},
})

// answered returns the error of the SDK for an HTTP answer.
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
			got := refusalFromError(answered(400, code, message))
			if !want.matches(got) || !strings.Contains(got.Detail, message) {
				t.Errorf("400 %s is %v, permanent %t; want %s", text, got, got.Permanent, want)
			}
			mayStart := strings.HasPrefix(strings.ToLower(code), "requesttimeout") || strings.EqualFold(code, "ServerException")
			if isIndefinite(answered(400, code, message)) != mayStart {
				t.Errorf("400 %s: indefinite is %t, want %t", text, !mayStart, mayStart)
			}
			if !isIndefinite(answered(503, code, message)) {
				t.Errorf("503 %s: indefinite is false, want true", text)
			}
			if got := refusalFromError(answered(503, code, message)); !expected("throttled").matches(got) {
				t.Errorf("503 %s is %v, permanent %t; want throttled: a task may have started", text, got, got.Permanent)
			}
		}
	}
}

// starts lists reasons of tasks that did not start. ECS reports them for the task or for a container.
var starts = byText(map[expected][]string{
	"image-pull!": {
		"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve " +
			"ref x/model:9: not found",
		"CannotPullContainerError: The repository does not exist or may require 'docker login'",
		"CannotPullContainerError: Error response from daemon: No such image: x/model:9",
		"CannotPullContainerError: pull access denied for x/model",
		"CannotPullContainerError: api error AccessDeniedException: User: x is not authorized to " +
			"perform: ecr:BatchGetImage",
		"CannotPullContainerError: requested action on the resource is denied",
		"CannotPullContainerError: inspect image has been retried 1 time(s): failed to resolve ref: " +
			"unexpected status code [manifests 1]: 403 Forbidden",
		"CannotPullContainerError: ref pull has been retried 5 time(s): httpReadSeeker: unexpected status code 403",
		"CannotPullContainerError: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
		"CannotPullContainerError: Error response from daemon: unauthorized: authentication required",
		"CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does " +
			"not contain descriptor matching platform 'linux/amd64'",
		"CannotPullContainerError: no matching manifest for linux/arm64/v8 in the manifest list entries",
		"CannotPullContainerError: invalid reference format",
		"CannotPullECRContainerError: repository does not exist",
		"CannotPullECRContainerError: AccessDeniedException",
		"CannotPullContainerError: x/throttling-exceptions:9: not found",
	},
	"image-pull": {
		"CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp: i/o timeout",
		"CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: Get " +
			"111403222333.dkr.ecr.eu-west-1.amazonaws.com: i/o timeout",
		"CannotPullContainerError: failed to copy sha256:0f403e: status code [layers 403]: unexpected EOF",
		"CannotPullContainerError: ref pull has been retried 5 time(s): " +
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com/denied-claims:403: i/o timeout",
		"CannotPullContainerError: dial tcp: lookup 111122223333.dkr.ecr.eu-west-1.amazonaws.com on " +
			"10.0.0.2:53: no such host",
		"CannotPullContainerError: toomanyrequests: You have reached your pull rate limit",
		"CannotPullContainerError: failed to register layer: no space left on device",
	},
	"start-failed": {
		"ResourceInitializationError: unable to pull secrets or registry auth: timeout",
		"ResourceInitializationError: failed to initialize logging driver: the specified log group does not exist",
		"ResourceInitializationError: ThrottlingException: Rate exceeded",
		"Timeout waiting for network interface provisioning to complete.",
		"Unexpected EC2 error while attempting to Create Network Interface with public IP assignment " +
			"enabled in subnet 'x': InternalServerError",
		"InternalError: unable to create container",
		"CannotStartContainerError: failed to get container status: x",
		"CannotCreateContainerError: API error (500): devmapper: Thin Pool has free data blocks",
		"CannotInspectContainerError: Could not transition to inspecting",
		"CannotCreateVolumeError: driver failed",
		"ContainerRuntimeError: shim died",
		"ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m: x",
		"DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s",
	},
	"misconfigured!": {
		"ResourceInitializationError: unable to pull secrets or registry auth: execution resource " +
			"retrieval failed: AccessDeniedException: x is not authorized to perform: secretsmanager:GetSecretValue",
		"ResourceInitializationError: unable to pull secrets or registry auth: no identity-based " +
			"policy: x is not authorized to perform: ssm:GetParameters",
		"ECS was unable to assume the role 'arn:aws:iam::111122223333:role/x' that was provided for this task.",
		"Unexpected EC2 error while attempting to tag the network interface: TagPolicyViolation",
		"The selected task definition is not compatible with the selected compute strategy",
		"TaskFailedToStart: ATTRIBUTE",
		"TaskFailedToStart: LOCATION",
		"TaskFailedToStart: MemberOf placement constraint unsatisfied.",
	},
	"capacity": {
		"Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet",
		"Capacity is unavailable at this time. Please try again later or in a different availability zone",
		"TaskFailedToStart: RESOURCE:CPU",
		"TaskFailedToStart: RESOURCE:GPU",
		"TaskFailedToStart:RESOURCE:MEMORY",
		"TaskFailedToStart: AGENT",
		"TaskFailedToStart: EMPTY CAPACITY PROVIDER",
		"TaskFailedToStart: NO ACTIVE INSTANCES",
	},
	"start-failed!": {
		"CannotStartContainerError: failed to create new container runtime task: exec: \"x\": " +
			"executable file not found in $PATH",
		"CannotStartContainerError: exec: \"/x\": stat /x: no such file or directory",
		"CannotStartContainerError: exec: \"/x\": permission denied",
		"CannotStartContainerError: \"Rscript\" is not on this machine",
		"ResourceInitializationError: secret \"X\" is not set: add X=… to .env.local",
	},
	"quota": {
		"You've reached the limit on the number of vCPUs you can run concurrently",
	},
	"interrupted": {
		"Your Spot Task was interrupted.",
		"Host EC2 (instance i-0a1b) terminated.",
		"Host terminated",
		"ECS is performing maintenance on the underlying infrastructure hosting the task",
	},
})

// TestReasonsOfTasksThatDidNotStart puts each reason in the places where ECS reports it: at the task, or at a
// container of a task with a generic reason, with and without a stopCode.
func TestReasonsOfTasksThatDidNotStart(t *testing.T) {
	t.Parallel()
	for reason, want := range starts {
		for _, text := range casings(reason) {
			for name, task := range tasksWithReason(text) {
				if got := Outcome(task, "model"); !want.matches(got) || got.Detail != text {
					t.Errorf("%s: reason %q is %v, permanent %t; want %s", name, text, got, got.Permanent, want)
				}
			}
		}
	}
}

// tasksWithReason returns tasks that did not start and that have the reason in different places.
func tasksWithReason(reason string) map[string]event.Task {
	at := func(name string) []event.Container {
		return []event.Container{{Name: "init"}, {Name: "model"}, {Name: name, Reason: reason}}
	}
	return map[string]event.Task{
		"of the task": {
			StopCode: "TaskFailedToStart", StoppedReason: reason,
		},
		"of the task, without a stopCode": {
			StoppedReason: reason, Containers: at("x"),
		},
		"of the task, with a lower-case stopCode": {
			StopCode: "taskfailedtostart", StoppedReason: reason, Containers: at("x"),
		},
		"of the model": {
			StopCode: "TaskFailedToStart", Containers: at("model"),
		},
		"of the model, in a task with a generic reason": {
			StopCode: "TaskFailedToStart", StoppedReason: "Task failed to start", Containers: at("model"),
		},
		"of a sidecar, in a task with a generic reason": {
			StopCode: "TaskFailedToStart", StoppedReason: "Taskfailedtostart", Containers: at("sidecar"),
		},
		"of the model, in a task whose essential container exited": {
			StopCode: "EssentialContainerExited", StoppedReason: "Essential container in task exited", Containers: at("model"),
		},
	}
}

// TestEveryRuleMatchesAText finds rules that match no text: they have no use, or no test.
func TestEveryRuleMatchesAText(t *testing.T) {
	t.Parallel()
	hits := map[*rule]int{}
	for _, texts := range []map[string]expected{failures, errs, starts} {
		for text := range texts {
			for _, text := range casings(text) {
				r, _ := matchRule(text)
				hits[r]++
			}
		}
	}
	for i := range rules {
		if hits[&rules[i]] == 0 {
			t.Errorf("no text matches the rule %q (%s)", rules[i].text, rules[i].class)
		}
	}
}
