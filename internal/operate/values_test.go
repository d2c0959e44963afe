package operate_test

import (
	"encoding/json"
	"testing"
	"time"

	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
)

// zone is a time zone other than UTC: a view has all its times in UTC.
var zone = time.FixedZone("", 3600)

// clock returns the time of a minute of 5 January 2026, eight o'clock UTC.
func clock(minute int) time.Time { return time.Date(2026, 1, 5, 9, minute, 0, 0, zone) }

// valuedRun returns a run whose fields all differ, so that a view cannot mix up two of them.
func valuedRun() (run.Run, run.Spec, run.Attempt) {
	code := 9
	r := run.Run{
		ID: "sales-aaaaaaaaaaaa", Model: "sales", Trigger: "arrival", State: run.Failed, Accepted: clock(1), Ended: clock(3), Attempt: 2,
		Outcome: &run.Outcome{Class: run.ClassModelError, Detail: "exit code 9", ExitCode: &code}, Definition: "definition", Joined: 4,
		StopRequest: &run.StopRequest{Class: run.ClassTimedOut, Reason: "over", By: "timeout", At: clock(2)},
		Capacities:  []model.Capacity{model.Spot, model.OnDemand}, CapacityIndex: 1, Size: model.Size{CPU: 3, Memory: 4},
		Task:        run.Task{ARN: "task", Status: "STOPPED", Size: model.Size{CPU: 1, Memory: 2}, Started: clock(2)},
		RetriesUsed: run.RetriesUsed{Model: 1, Infrastructure: 3, Interruptions: 2, Refusals: 7}, OrphanTasks: []string{"orphan"},
		Policy: model.Policy{
			Timeout: time.Second,
			Retry: model.Retry{
				BackoffMin: 2 * time.Second, BackoffMax: 3 * time.Second, OutOfMemory: &model.OutOfMemory{MaxMemory: 8}, Lost: true,
			},
			WaitFor:  &model.WaitFor{MaxAge: 4 * time.Second, Timeout: 5 * time.Second},
			Debounce: &model.Debounce{Quiet: 6 * time.Second, MaxDelay: 7 * time.Second, Per: model.Per{"region"}},
		},
	}
	spec := run.Spec{
		Run: r.ID, Catalog: "version", Event: "event", Kind: model.Arrival, Combination: "a=b", Inputs: model.Inputs{"x": "value"},
		ExternalInputs: []string{"external"}, From: map[string]string{"x": "the key"}, Objects: []string{"object"},
		Task: model.Rendered{Family: "family", Container: "container", Outputs: []model.Object{{Name: "o", URI: "uri"}}},
	}
	return r, spec, run.Attempt{
		Number: 1, FirstCall: clock(1), Started: clock(2), Ended: clock(3), Task: "first", Outcome: r.Outcome, Request: []byte(`{"count":1}`),
	}
}

// TestValuesOfTheView compares the JSON of a run whose fields all differ with its documents.
func TestValuesOfTheView(t *testing.T) {
	t.Parallel()
	r, spec, attempt := valuedRun()
	db := memory.New()
	err := db.Commit(t.Context(), store.Create(records.RunDoc(r, 0, 0)), store.Create(records.SpecDoc(spec, 0)),
		store.Create(records.AttemptDoc(r.ID, attempt, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := operate.ReadRun(t.Context(), db, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, got, `{
		"run": "sales-aaaaaaaaaaaa", "model": "sales", "trigger": "arrival", "state": "failed",
		"accepted": "2026-01-05T08:01:00Z", "ended": "2026-01-05T08:03:00Z", "durationSeconds": 120, "attempt": 2,
		"outcome": {"class": "model-error", "detail": "exit code 9", "exitCode": 9},
		"stopRequest": {"class": "timed-out", "reason": "over", "by": "timeout", "at": "2026-01-05T08:02:00Z"},
		"capacityType": "on-demand", "taskDefinition": "definition", "task": "task", "taskStatus": "STOPPED",
		"taskSize": {"cpuUnits": 1, "memoryMiB": 2}, "raisedSize": {"cpuUnits": 3, "memoryMiB": 4},
		"retriesUsed": {"model": 1, "infrastructure": 3, "interruptions": 2}, "orphanTasks": ["orphan"], "joined": 4,
		"kind": "arrival", "event": "event", "combination": "a=b", "catalogVersion": "version", "inputs": {"x": "value"},
		"externalInputs": ["external"], "inputSources": {"x": "the key"}, "outputs": [{"name": "o", "uri": "uri"}], "objects": ["object"],
		"capacityTypes": ["spot", "on-demand"], "taskFamily": "family", "container": "container",
		"policy": {
			"timeoutSeconds": 1, "waitFor": {"maxAgeSeconds": 4, "timeoutSeconds": 5},
			"retry": {"attempts": 1, "backoffMinSeconds": 2, "backoffMaxSeconds": 3, "outOfMemory": {"maxMemoryMiB": 8}, "lost": true},
			"debounce": {"quietSeconds": 6, "maxDelaySeconds": 7, "per": ["region"]}
		},
		"attempts": [{
			"attempt": 1, "requested": "2026-01-05T08:01:00Z", "started": "2026-01-05T08:02:00Z", "ended": "2026-01-05T08:03:00Z",
			"task": "first", "outcome": {"class": "model-error", "detail": "exit code 9", "exitCode": 9},
			"request": {"count": 1}
		}]
	}`)
}

// TestValuesOfEventsAndPauses compares the JSON of an event, a decision and a pause with their documents.
func TestValuesOfEventsAndPauses(t *testing.T) {
	t.Parallel()
	d := records.Decision{Model: "m", Combination: "a=b", Kind: records.Started, Run: "m-1", Reason: "why"}
	wantJSON(t, operate.NewDecision("event", model.Arrival, d), `{"event": "event", "kind": "arrival", "model": "m", "combination": "a=b",
		"decision": "started", "run": "m-1", "reason": "why"}`)
	wantJSON(t, operate.NewPause(records.Control{Model: "m", Paused: true, Reason: "why", By: "ada", At: clock(1)}),
		`{"model": "m", "paused": true, "reason": "why", "by": "ada", "at": "2026-01-05T08:01:00Z"}`)
	db := memory.New()
	record := records.EventRecord{
		Identity: "event", EventKind: model.Arrival, Source: "bucket", Decision: d, Time: clock(1), Received: clock(2), Duplicates: 3,
		PayloadURI: "uri",
	}
	if err := db.Commit(t.Context(), store.Create(records.EventDoc(record, 0, 0))); err != nil {
		t.Fatal(err)
	}
	all, err := operate.ListEvents(t.Context(), db, store.Query{})
	if err != nil || len(all) != 1 {
		t.Fatalf("the events are %v, %v; want one", all, err)
	}
	wantJSON(t, all[0], `{"event": "event", "kind": "arrival", "source": "bucket", "model": "m", "combination": "a=b", "decision": "started",
		"run": "m-1", "reason": "why", "time": "2026-01-05T08:01:00Z", "received": "2026-01-05T08:02:00Z", "duplicates": 3,
		"payloadUri": "uri"}`)
}

// wantJSON compares the JSON of a view with a text, whatever the order of the fields.
func wantJSON(t *testing.T, view any, want string) {
	t.Helper()
	text, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if got, want := string(encode(t, a)), string(encode(t, b)); got != want {
		t.Errorf("%T is\n%s\nwant\n%s\nthe first difference: %s", view, got, want, firstDifference([]byte(got), []byte(want)))
	}
}
