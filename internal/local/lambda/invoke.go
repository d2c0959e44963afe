package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// maxPayload is the size limit of a function's payload and of its response, in bytes.
const maxPayload = 6 << 20

// FunctionError is the failure of a function: its handler returned an error, panicked, ended without a response, or
// exceeded its timeout, or its response was too large. Type and Message are the values that Lambda reports.
type FunctionError struct {
	Function  string
	RequestID string
	Type      string // the name of the Go type of the error or panic value, or a Lambda type such as Sandbox.Timedout
	Message   string
	Stack     string // the stack trace of a panic
	Cause     error  // the handler's error, or context.DeadlineExceeded after a timeout; nil otherwise
}

// Error returns the function's name and the message.
func (e *FunctionError) Error() string {
	return fmt.Sprintf("function %s failed: %s", e.Function, e.Message)
}

// Unwrap returns Cause.
func (e *FunctionError) Unwrap() error { return e.Cause }

// payload returns the error as Lambda writes it into the function's response.
func (e *FunctionError) payload() json.RawMessage {
	text, err := encode(map[string]string{"errorMessage": e.Message, "errorType": e.Type})
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

// ARN returns the Amazon Resource Name of a function, which need not exist.
func (e *Engine) ARN(function string) string {
	return "arn:aws:lambda:" + e.queues.Region() + ":" + e.queues.Account() + ":function:" + function
}

// Invoke calls a function and returns its response. It returns a *FunctionError if the function fails, and another
// error for an unknown function, for a payload that is not JSON or exceeds 6 MiB, and when ctx is cancelled.
func (e *Engine) Invoke(ctx context.Context, name string, payload []byte) ([]byte, error) {
	f, err := e.findFunction(name, payload)
	if err != nil {
		return nil, err
	}
	return e.invoke(ctx, f, uuid.NewString(), payload)
}

// findFunction returns the function with this name, after it checked the payload.
func (e *Engine) findFunction(name string, payload []byte) (*Function, error) {
	f := e.functions[name]
	switch {
	case f == nil:
		return nil, fmt.Errorf("invoking %q: the function is not declared", name)
	case len(payload) > maxPayload:
		return nil, fmt.Errorf("invoking %s: the payload has %d bytes, more than the limit of %d", name, len(payload), maxPayload)
	case !json.Valid(payload):
		return nil, fmt.Errorf("invoking %s: the payload is not JSON", name)
	}
	return f, nil
}

// invoke calls f with the given request id, under f's timeout.
func (e *Engine) invoke(ctx context.Context, f *Function, request string, payload []byte) ([]byte, error) {
	logger := zerolog.Ctx(ctx).With().Str("function", f.Name).Str("request", request).Logger()
	ctx = lambdacontext.NewContext(logger.WithContext(ctx), &lambdacontext.LambdaContext{
		AwsRequestID:       request,
		InvokedFunctionArn: e.ARN(f.Name),
	})
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()

	var out handlerResult
	select {
	case out = <-runHandler(ctx, f, payload):
	case <-ctx.Done():
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("invoking %s: %w", f.Name, ctx.Err())
		}
		message := fmt.Sprintf("Task timed out after %.2f seconds", f.Timeout.Seconds())
		out.failure = &FunctionError{Type: "Sandbox.Timedout", Message: message, Cause: ctx.Err()}
	}
	if out.failure != nil {
		out.failure.Function, out.failure.RequestID = f.Name, request
		return nil, out.failure
	}
	return out.response, nil
}

// handlerResult is the response of a handler, or its failure.
type handlerResult struct {
	response []byte
	failure  *FunctionError
}

// runHandler runs the handler in a new goroutine and sends its result. An error, a panic and runtime.Goexit are results
// with a failure.
func runHandler(ctx context.Context, f *Function, payload []byte) <-chan handlerResult {
	done := make(chan handlerResult, 1)
	go func() {
		out := handlerResult{failure: &FunctionError{Type: "Runtime.ExitError", Message: "the handler ended without a response"}}
		defer func() {
			if p := recover(); p != nil {
				out.failure = &FunctionError{Type: typeName(p), Message: fmt.Sprint(p), Stack: string(debug.Stack())}
			}
			done <- out
		}()
		// A Handler writes its responses to a pool of buffers, and returns a response that is in the pool again. In AWS an
		// instance of a function has one invocation at a time. Here they run together, so each has a Handler of its own.
		response, err := awslambda.NewHandler(f.Handler).Invoke(ctx, payload)
		out = handlerResult{response, newFunctionError(err)}
		if err == nil && len(response) > maxPayload {
			message := fmt.Sprintf("the response has %d bytes, more than the limit of %d", len(response), maxPayload)
			out.failure = &FunctionError{Type: "Function.ResponseSizeTooLarge", Message: message}
		}
	}()
	return done
}

// newFunctionError returns the failure for a handler's error, or nil. Its type has the name that Lambda's Go runtime
// gives the error.
func newFunctionError(err error) *FunctionError {
	if err == nil {
		return nil
	}
	var named messages.InvokeResponse_Error
	if errors.As(err, &named) {
		return &FunctionError{Type: named.Type, Message: named.Message, Cause: err}
	}
	return &FunctionError{Type: typeName(err), Message: err.Error(), Cause: err}
}

func typeName(value any) string {
	t := reflect.TypeOf(value)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}
