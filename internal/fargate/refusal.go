package fargate

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

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
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError || api.ErrorCode() == "ServerException" {
		return run.Outcome{Class: run.Throttled, Detail: text}
	}
	if o := classify(text); o.Class == run.Throttled || o.Class == run.Quota || o.Class == run.Capacity {
		return o
	}
	if temporary(api.ErrorCode()) {
		return run.Outcome{Class: run.Throttled, Detail: text}
	}
	return run.Outcome{Class: run.Misconfigured, Detail: text, Permanent: true}
}

// temporary codes are of the caller's credentials and of time-outs, which pass by themselves.
func temporary(code string) bool {
	return strings.HasPrefix(code, "RequestTimeout") || strings.HasPrefix(code, "ExpiredToken") || code == "RequestExpired"
}

// failed is the class of the failures[] of an answer that started nothing.
func failed(failures []types.Failure) run.Outcome {
	if len(failures) == 0 {
		return run.Outcome{Class: run.Unknown, Detail: "RunTask answered with neither a task nor a failure"}
	}
	f := failures[0]
	text := strings.TrimSpace(deref(f.Reason) + " " + deref(f.Detail))
	o := classify(text)
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

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
