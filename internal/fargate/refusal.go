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

// refusal is the class of a RunTask error. What was not answered, or answered with 5xx, may have
// started a task: it is Throttled, whose next call has the same token.
func refusal(err error) run.Outcome {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return run.Outcome{Class: run.Throttled, Detail: "no answer from RunTask: " + err.Error()}
	}
	text := api.ErrorCode() + ": " + api.ErrorMessage()
	if indefinite(err) {
		return run.Outcome{Class: run.Throttled, Detail: text}
	}
	switch o := classify(text); o.Class {
	case run.Throttled, run.Quota, run.Capacity:
		return o
	}
	return run.Outcome{Class: run.Misconfigured, Detail: text, Permanent: true}
}

// calls are those that the SDK makes for one RunTask, with the same token.
type calls struct{ indefinite bool }

// watch looks at the end of each call that was sent, inside the SDK's retries: their last error
// alone would hide a 504 behind the ThrottlingException that came after it.
func (c *calls) watch(s *middleware.Stack) error {
	return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RunTaskCalls",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			c.indefinite = c.indefinite || err != nil && indefinite(err)
			return out, metadata, err
		}), middleware.Before)
}

// indefinite says that a call with this error may still start a task. Only an answer of ECS itself
// with 4xx means that it has not accepted the call, and what is no JSON is somebody else's.
func indefinite(err error) bool {
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

// failed is the class of the failures[] of an answer that started nothing.
func failed(failures []types.Failure) run.Outcome {
	if len(failures) == 0 {
		return run.Outcome{Class: run.Unknown, Detail: "RunTask answered with neither a task nor a failure"}
	}
	f := failures[0]
	o := classify(aws.ToString(f.Reason), aws.ToString(f.Detail))
	text := strings.TrimSpace(aws.ToString(f.Reason) + " " + aws.ToString(f.Detail))
	o.Detail = text
	if o.Class == run.Throttled { // failures[] are an answer: nothing was started, so the token is used up
		o.Class = run.Capacity
	}
	if o.Class == run.Unknown {
		o.Detail = fmt.Sprintf("RunTask started nothing: %q", text)
	}
	return o
}

// conflict gives the tasks that an earlier request with the same token has started.
func conflict(err error) []string {
	var c *types.ConflictException
	if errors.As(err, &c) {
		return c.ResourceIds
	}
	return nil
}
