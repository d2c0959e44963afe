package eventbridge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"modeldispatch/internal/local/eventbridge"
)

// FuzzPutEvents checks that no request body leads to a server error, and that each event that a target
// gets has a source and a detail that is an object.
func FuzzPutEvents(f *testing.F) {
	f.Add(`{"Entries":[{"Source":"acme","DetailType":"x","Detail":"{\"a\":[1e9,null]}"}]}`)
	f.Add(`{"Entries":[{"Source":"acme","DetailType":"x","Detail":" {}","Time":1.5e9,"Resources":["r"]}]}`)
	f.Add(`{"Entries":[{"Source":"aws.","DetailType":"\ud800","Detail":"{","Time":-1e300,"EventBusName":"x"}]}`)
	f.Add(`{"Entries":{}}`)
	f.Fuzz(func(t *testing.T, body string) {
		check := func(_ context.Context, event json.RawMessage) error {
			var e struct {
				Source string
				Detail map[string]any
			}
			if err := json.Unmarshal(event, &e); err != nil || e.Source == "" || e.Detail == nil {
				t.Errorf("%s led to %s: %v", body, event, err)
			}
			return nil
		}
		matchAll := func(any) bool { return true }
		b := eventbridge.New(eventbridge.Options{Keep: 1}, eventbridge.Rule{Name: "all", Match: matchAll, Target: check})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		if w.Code >= 500 || strings.Contains(w.Body.String(), "InternalFailure") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	})
}
