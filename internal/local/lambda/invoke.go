package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// maxPayload is the most that a function is sent and the most that it answers, in bytes.
const maxPayload = 6 << 20

// FunctionError is that a function failed: its handler returned an error, panicked, or took too
// long. Type and Message are what Lambda reports of it.
type FunctionError struct {
	Function  string
	RequestID string
	Type      string // of the Go error, or Sandbox.Timedout
	Message   string
	Stack     string // of a panic
	Cause     error  // what the handler returned; nil otherwise
}

func (e *FunctionError) Error() string {
	return fmt.Sprintf("function %s failed: %s", e.Function, e.Message)
}

func (e *FunctionError) Unwrap() error { return e.Cause }

// payload is the error as the function's answer.
func (e *FunctionError) payload() json.RawMessage {
	text, err := encode(map[string]string{"errorMessage": e.Message, "errorType": e.Type})
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

// ARN is the function's Amazon Resource Name.
func (e *Engine) ARN(function string) string {
	return "arn:aws:lambda:" + e.queues.Region() + ":" + e.queues.Account() + ":function:" + function
}

// Invoke calls a function and returns its answer. What goes wrong inside is a *FunctionError.
func (e *Engine) Invoke(ctx context.Context, name string, payload []byte) ([]byte, error) {
	f, err := e.find(name, payload)
	if err != nil {
		return nil, err
	}
	return e.invoke(ctx, f, uuid.NewString(), payload)
}

func (e *Engine) find(name string, payload []byte) (*Function, error) {
	f := e.functions[name]
	switch {
	case f == nil:
		return nil, fmt.Errorf("invoking %q: there is no such function", name)
	case len(payload) > maxPayload:
		return nil, fmt.Errorf("invoking %s: the payload has %d bytes; %d is the most", name, len(payload), maxPayload)
	case !json.Valid(payload):
		return nil, fmt.Errorf("invoking %s: the payload is not JSON", name)
	}
	return f, nil
}

func (e *Engine) invoke(ctx context.Context, f *Function, request string, payload []byte) ([]byte, error) {
	logger := zerolog.Ctx(ctx).With().Str("function", f.Name).Str("request", request).Logger()
	ctx = lambdacontext.NewContext(logger.WithContext(ctx), &lambdacontext.LambdaContext{
		AwsRequestID:       request,
		InvokedFunctionArn: e.ARN(f.Name),
	})
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()

	var out outcome
	select {
	case out = <-call(ctx, f, payload):
	case <-ctx.Done():
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("invoking %s: %w", f.Name, ctx.Err())
		}
		out.failure = &FunctionError{Type: "Sandbox.Timedout", Message: fmt.Sprintf("Task timed out after %.2f seconds", f.Timeout.Seconds()), Cause: ctx.Err()}
	}
	if out.failure != nil {
		out.failure.Function, out.failure.RequestID = f.Name, request
		return nil, out.failure
	}
	return out.answer, nil
}

type outcome struct {
	answer  []byte
	failure *FunctionError
}

// call runs the handler and survives whatever it does: its own error, a panic, even Goexit.
func call(ctx context.Context, f *Function, payload []byte) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		out := outcome{failure: &FunctionError{Type: "Runtime.ExitError", Message: "the handler ended without an answer"}}
		defer func() {
			if p := recover(); p != nil {
				out.failure = &FunctionError{Type: typeName(p), Message: fmt.Sprint(p), Stack: string(debug.Stack())}
			}
			done <- out
		}()
		answer, err := f.Handler.Invoke(ctx, payload)
		out = outcome{answer, describe(err)}
		if err == nil && len(answer) > maxPayload {
			out.failure = &FunctionError{Type: "Function.ResponseSizeTooLarge", Message: fmt.Sprintf("the answer has %d bytes; %d is the most", len(answer), maxPayload)}
		}
	}()
	return done
}

// describe names an error as the Go runtime of Lambda does.
func describe(err error) *FunctionError {
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
