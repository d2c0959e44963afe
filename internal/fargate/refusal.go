package fargate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"modeldispatch/internal/run"
)

// refusalFromError returns the outcome of a RunTask error. A call without an answer, or with a 5xx answer,
// may have started a task. Its class is therefore ClassThrottled: the next call has the same client token.
func refusalFromError(err error) run.Outcome {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return run.Outcome{Class: run.ClassThrottled, Detail: "no answer from RunTask: " + err.Error()}
	}
	text := api.ErrorCode() + ": " + api.ErrorMessage()
	if isIndefinite(err) {
		return run.Outcome{Class: run.ClassThrottled, Detail: text}
	}
	switch o := classify(text); o.Class {
	case run.ClassThrottled, run.ClassQuota, run.ClassCapacity:
		return o
	}
	return run.Outcome{Class: run.ClassMisconfigured, Detail: text, Permanent: true}
}

// calls observes the HTTP calls that the SDK makes for one RunTask, all with the same client token.
type calls struct{ indefinite bool }

// watch adds a middleware that checks the result of each call inside the SDK's retries. The error after
// the retries is not enough: it can be a ThrottlingException that hides an earlier 504.
func (c *calls) watch(s *middleware.Stack) error {
	check := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error,
	) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		c.indefinite = c.indefinite || err != nil && isIndefinite(err)
		return out, metadata, err
	}
	return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RunTaskCalls", check), middleware.Before)
}

// isIndefinite reports whether a call with this error may still start a task. Only a 4xx answer from ECS
// itself shows that ECS did not accept the call, unless it is a ServerException or a request timeout. An
// answer that is not JSON (UnknownError in the SDK) comes from a proxy or a gateway.
func isIndefinite(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return true
	}
	code := strings.ToLower(api.ErrorCode())
	if code == "serverexception" || code == "unknownerror" || strings.HasPrefix(code, "requesttimeout") {
		return true
	}
	var answer interface{ HTTPStatusCode() int }
	return errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError
}

// refusalFromFailures returns the outcome of an answer without a task. It uses the first of its failures[].
func refusalFromFailures(failures []types.Failure) run.Outcome {
	if len(failures) == 0 {
		return run.Outcome{Class: run.ClassUnknown, Detail: "RunTask returned no task and no failure"}
	}
	f := failures[0]
	o := classify(aws.ToString(f.Reason), aws.ToString(f.Detail))
	text := strings.TrimSpace(aws.ToString(f.Reason) + " " + aws.ToString(f.Detail))
	o.Detail = text
	if o.Class == run.ClassThrottled {
		// RunTask has answered. A call with the same client token would get the same answer again.
		o.Class = run.ClassCapacity
	}
	if o.Class == run.ClassUnknown {
		o.Detail = fmt.Sprintf("RunTask started no task: %q", text)
	}
	return o
}

// conflictTasks returns the ARNs of the tasks that an earlier call with the same client token started. It
// returns nil if the error is not a ConflictException.
func conflictTasks(err error) []string {
	var c *types.ConflictException
	if errors.As(err, &c) {
		return c.ResourceIds
	}
	return nil
}
