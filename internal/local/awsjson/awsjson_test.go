package awsjson_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"modeldispatch/internal/local/awsjson"
)

// answer calls an operation with a body, and returns the status and the body of the response.
func answer(body string, operation awsjson.Operation) (int, string) {
	s := awsjson.Service{Target: "Thing", Version: "1.0", Operations: map[string]awsjson.Operation{"Do": operation}}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Thing.Do")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestRequestMustBeUTF8 checks that an operation never gets bytes that are not UTF-8.
func TestRequestMustBeUTF8(t *testing.T) {
	t.Parallel()
	echo := func(_ context.Context, request json.RawMessage) (any, error) { return request, nil }
	if status, body := answer(`{"key":"ü"}`, echo); status != http.StatusOK || body != `{"key":"ü"}` {
		t.Errorf("UTF-8 is answered with %d %s", status, body)
	}
	status, body := answer("{\"key\":\"\xfc\"}", echo)
	if status != http.StatusBadRequest || !strings.Contains(body, "SerializationException") {
		t.Errorf("Latin-1 is answered with %d %s, want 400 and a SerializationException", status, body)
	}
}

// TestResponseWithoutJSONForm checks that the error of a response that cannot be encoded tells why.
func TestResponseWithoutJSONForm(t *testing.T) {
	t.Parallel()
	status, body := answer(`{}`, func(context.Context, json.RawMessage) (any, error) { return make(chan int), nil })
	var out struct{ Message string }
	err := json.Unmarshal([]byte(body), &out)
	const want = "encoding the response: json: unsupported type: chan int"
	if status != http.StatusInternalServerError || err != nil || out.Message != want {
		t.Errorf("the response is %d %s, want 500 and %q", status, body, want)
	}
}
