package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"modeldispatch/internal/cli"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
)

// strictSchema returns a type of output.schema.json. It accepts only the fields that the schema names, so that no field
// of a stored document is printed by accident.
func strictSchema(name string) (*jsonschema.Schema, error) {
	text, err := os.ReadFile("../../output.schema.json")
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, def := range parsed.(map[string]any)["$defs"].(map[string]any) {
		def.(map[string]any)["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("output.schema.json", parsed); err != nil {
		return nil, err
	}
	return c.Compile("output.schema.json#/$defs/" + name)
}

// validate checks each JSON value of a text, or each item if it is a list. It returns the values, and an error if there
// is none.
func validate(name, text string) ([]map[string]any, error) {
	schema, err := strictSchema(name)
	if err != nil {
		return nil, err
	}
	var all []map[string]any
	for in := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := in.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		items, isList := v.([]any)
		if !isList {
			items = []any{v}
		}
		for _, item := range items {
			if err := schema.Validate(item); err != nil {
				return nil, err
			}
			all = append(all, item.(map[string]any))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no value to validate")
	}
	return all, nil
}

// valid validates the output of the last command against a type of output.schema.json.
func valid(ts *testscript.TestScript, _ bool, args []string) {
	if _, err := validate(args[0], ts.ReadFile("stdout")); err != nil {
		ts.Fatalf("the output is not %s: %v\n%s", args[0], err, ts.ReadFile("stdout"))
	}
}

// TestJSONHasEachField prints runs and events whose documents have a value in every field. The output must be valid, and
// it must have every field of the schema: no other test would notice a field that is never set.
func TestJSONHasEachField(t *testing.T) {
	t.Parallel()
	project := t.TempDir()
	runs := fullRuns()
	writeStore(t, project, runs)
	printed := func(name string, args ...string) []map[string]any {
		t.Helper()
		var out, errs strings.Builder
		if code := cli.Main(t.Context(), append(args, "--json", "--project", project), cli.Streams{Out: &out, Err: &errs}); code != 0 {
			t.Fatalf("%v: the exit code is %d: %s", args, code, &errs)
		}
		all, err := validate(name, out.String())
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, &out)
		}
		return all
	}
	shown := map[string]map[string]bool{}
	for _, r := range runs {
		collect(shown, reflect.TypeFor[operate.Run](), printed("Run", "show", r.ID)[0])
	}
	for _, e := range printed("Event", "events") {
		collect(shown, reflect.TypeFor[operate.Event](), e)
	}
	for _, kind := range []any{
		operate.Run{}, operate.Event{}, operate.Attempt{}, operate.Outcome{}, operate.StopRequest{}, operate.Size{}, operate.RetriesUsed{},
		operate.Output{}, operate.Variable{}, operate.Policy{}, operate.Retry{}, operate.OutOfMemory{}, operate.WaitFor{}, operate.Debounce{},
	} {
		of := reflect.TypeOf(kind)
		for name := range jsonFields(of) {
			if !shown[of.Name()][name] {
				t.Errorf("no output has the field %s of %s", name, of.Name())
			}
		}
	}
	listed, live := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, r := range printed("Run", "runs") {
		collect(listed, reflect.TypeFor[operate.Run](), r)
	}
	for _, r := range runs { // as local prints it
		text, err := json.Marshal(operate.NewRun(r))
		if err != nil {
			t.Fatal(err)
		}
		all, err := validate("Run", string(text))
		if err != nil {
			t.Fatal(err)
		}
		collect(live, reflect.TypeFor[operate.Run](), all[0])
	}
	comparePresent(t, "runs", listed["Run"], "always", "if it applies", "runs, show")
	comparePresent(t, "local", live["Run"], "always", "if it applies")
}

// comparePresent compares the fields of a run that a command prints with docs/json.md: it prints those with one of the
// given texts in the column "present".
func comparePresent(t *testing.T, command string, printed map[string]bool, present ...string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n### Run\n")
	table, _, _ = strings.Cut(table, "\n### ")
	for name := range jsonFields(reflect.TypeFor[operate.Run]()) {
		i := strings.Index(table, "\n| `"+name+"` |")
		if i < 0 {
			t.Fatalf("docs/json.md has no row for %s", name)
		}
		cell := strings.TrimSpace(strings.Split(table[i:], "|")[3])
		if slices.Contains(present, cell) != printed[name] {
			t.Errorf("%s prints the field %s: %v; docs/json.md says %q", command, name, printed[name], cell)
		}
	}
}

// jsonFields returns the fields of a type by their names in JSON.
func jsonFields(of reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		all[name] = of.Field(i).Type
	}
	return all
}

// collect notes which fields of each type a value has.
func collect(seen map[string]map[string]bool, of reflect.Type, value any) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			collect(seen, of.Elem(), item)
		}
	case map[string]any:
		if of.Kind() != reflect.Struct {
			return
		}
		if seen[of.Name()] == nil {
			seen[of.Name()] = map[string]bool{}
		}
		for name, field := range v {
			seen[of.Name()][name] = true
			if of := jsonFields(of)[name]; of != reflect.TypeFor[json.RawMessage]() {
				collect(seen, of, field)
			}
		}
	}
}

// writeStore writes the runs, and an event for each decision that is recorded, into the store of a project's local stack.
func writeStore(t *testing.T, project string, runs []run.Run) {
	t.Helper()
	data := filepath.Join(project, ".modeldispatch")
	if err := errors.Join(os.CopyFS(project, os.DirFS("testdata/project")), os.MkdirAll(data, 0o755)); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(data, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	const keep = records.Retention(1e6 * time.Hour) // the documents are from the past
	put := func(doc store.Doc) {
		t.Helper()
		if err := db.Commit(t.Context(), store.Create(doc)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range runs {
		put(records.RunDoc(r, 0, keep))
		put(records.SpecDoc(fullSpec(r.ID), 0))
		put(records.AttemptDoc(r.ID, fullAttempt(r.Accepted), 0, keep))
		put(records.AttemptDoc(r.ID, run.Attempt{Number: 2, FirstCall: r.Accepted, Request: json.RawMessage(`{}`)}, 0, keep))
		log := filepath.Join(data, "logs", r.ID, "1-model.log")
		if err := errors.Join(os.MkdirAll(filepath.Dir(log), 0o755), os.WriteFile(log, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range fullEvents() {
		put(records.EventDoc(r, 0, keep))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// fullRuns returns a run in each state, with each wait, whose other fields all have a value. Its times are not in UTC.
func fullRuns() []run.Run {
	at := time.Date(2026, 1, 5, 9, 0, 0, 123e6, time.FixedZone("", 3600))
	code := 1
	full := run.Run{
		Schema: model.Schema, ID: "forecast-aaaaaaaaaaaa", Model: "forecast", Trigger: "arrival", Policy: fullPolicy(),
		Accepted: at, WaitingSince: at.Add(time.Second), ReadySince: at.Add(time.Second), Due: at.Add(time.Minute),
		Capacities: []model.Capacity{model.Spot, model.OnDemand}, CapacityIndex: 1,
		Group: run.Group{Model: "forecast", Value: "x"}, Joined: 2, StartsDownstream: true, Attempt: 2, Call: 3,
		Lease: at, FirstCall: at, LastCall: at, BackoffEnds: at, Reservation: at,
		Definition: "arn:definition", Breaker: model.Spot, Released: run.ReleasedAsProbe,
		Size: model.Size{CPU: 512, Memory: 2048}, ContainerMemoryMiB: 2048, StoppedTasks: []string{"arn:1"}, OrphanTasks: []string{"arn:0"},
		Task:        run.Task{ARN: "arn:2", Status: "RUNNING", Version: 3, Size: model.Size{CPU: 256, Memory: 1024}, Started: at, ObservedAt: at},
		StopRequest: &run.StopRequest{Class: run.ClassCancelled, Reason: "wrong date", By: "ada", At: at},
		RetriesUsed: run.RetriesUsed{Model: 1, Infrastructure: 2, Interruptions: 1, Refusals: 4},
		Outcome:     &run.Outcome{Class: run.ClassModelError, Detail: "exit code 1", ExitCode: &code, Permanent: true},
		Outbox:      run.Outbox{Last: 7}.Drop("Model Run Started: refused"), Sequence: 5,
	}
	var all []run.Run
	add := func(s run.State, w run.Wait) {
		r := full
		r.State, r.WaitingFor = s, w
		if r.ID = "forecast-" + strings.Repeat(string(rune('a'+len(all))), 12); s.Ended() {
			r.Ended = at.Add(90 * time.Second)
		}
		all = append(all, r)
	}
	for _, s := range []run.State{run.Launching, run.Running, run.Succeeded, run.Failed, run.Cancelled, run.Skipped} {
		add(s, "")
	}
	for _, w := range []run.Wait{run.ForDebounce, run.ForObjects, run.ForSlot, run.ForLaunch, run.ForCapacity, run.ForBackoff} {
		add(run.Waiting, w)
	}
	return all
}

func fullPolicy() model.Policy {
	return model.Policy{
		Timeout: 10 * time.Minute, ExitCodes: map[int]model.ExitCodeAction{3: model.ExitCodeSkip}, MaxLaunchesPerHour: 5,
		Retry: model.Retry{
			Attempts: 3, BackoffMin: 30 * time.Second, BackoffMax: 15 * time.Minute, TimedOut: true, Lost: true,
			OutOfMemory: &model.OutOfMemory{MaxMemory: 30720},
		},
		WaitFor:     &model.WaitFor{MaxAge: 24 * time.Hour, Timeout: 6 * time.Hour},
		Debounce:    &model.Debounce{Quiet: 2 * time.Minute, MaxDelay: 20 * time.Minute, Per: model.Per{}},
		Concurrency: &model.Concurrency{Limit: 2, Per: model.Per{"region"}, Overlap: model.OverlapQueue, Pool: "warehouse"},
		Expect:      &model.Expect{SuccessBy: "cron(30 7 ? * MON *)"},
	}
}

func fullSpec(id string) run.Spec {
	return run.Spec{
		Schema: model.Schema, Run: id, Catalog: "0123456789abcdef", Event: "arrival/landing/x.csv/0A", Kind: model.Arrival,
		Combination: "region=eu", Inputs: model.Inputs{"region": "eu"}, ExternalInputs: []string{"rows"},
		From: map[string]string{"region": "the key"}, Objects: []string{"s3://landing/rates.csv"},
		Task: model.Rendered{
			Family: "forecast", Container: "model", CPU: 256, Memory: 1024, Command: []string{"forecast.R"},
			Environment: []model.EnvironmentPair{{Name: "RUN_ID", Value: id}}, Tags: map[string]string{"owner": "analytics"},
			Outputs: []model.Object{{Name: "forecast", URI: "s3://results/eu.csv"}},
		},
	}
}

func fullAttempt(at time.Time) run.Attempt {
	return run.Attempt{
		Schema: model.Schema, Number: 1, Token: "token", Request: json.RawMessage(`{"taskDefinition":"forecast"}`), FirstCall: at, Task: "arn:1",
		Outcome: &run.Outcome{Class: run.ClassLost}, Started: at.Add(time.Second), Ended: at.Add(time.Minute),
	}
}

func fullEvents() []records.EventRecord {
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.FixedZone("", 3600))
	started := records.EventRecord{
		Schema: model.Schema, Identity: "arrival/landing/x.csv/0A", EventKind: model.Arrival, Source: "landing",
		Time: at, Received: at.Add(time.Second),
		Decision: records.Decision{Model: "forecast", Combination: "region=eu", Kind: records.Started, Run: "forecast-aaaaaaaaaaaa"},
		Payload:  json.RawMessage(`{"key":"x.csv"}`), Duplicates: 1, Sequence: 1, Outbox: run.Outbox{Last: 1},
	}
	rejected := started
	rejected.Identity, rejected.Payload, rejected.PayloadURI = "arrival/landing/y.csv/0B", nil, "s3://state/event/y"
	rejected.Decision = records.Decision{Kind: records.Rejected, Reason: `region: "xx" is not one of us, eu`}
	return []records.EventRecord{started, rejected}
}

var example = regexp.MustCompile("(?s)\n`modeldispatch (\\w+)[^`\n]*`:\n\n```json\n(.*?)```\n")

// TestExamplesOfThePage validates the examples of docs/json.md.
func TestExamplesOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{"run": "Decision", "runs": "Run", "show": "Run", "events": "Event", "pause": "Pause", "local": "Line"}
	for _, m := range example.FindAllSubmatch(page, -1) {
		command := string(m[1])
		if _, err := validate(types[command], string(m[2])); err != nil {
			t.Errorf("the example of %s: %v", command, err)
		}
		delete(types, command)
	}
	if len(types) > 0 {
		t.Errorf("these commands have no example: %v", slices.Sorted(maps.Keys(types)))
	}
}

// TestJSONHasNoZeroValues prints a run whose document has only the fields that each run has. The output must have only
// the fields that docs/json.md calls always present.
func TestJSONHasNoZeroValues(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(operate.NewRun(run.Run{ID: "a-b", Model: "a", State: run.Launching, Accepted: time.Now()}))
	if err != nil {
		t.Fatal(err)
	}
	all, err := validate("Run", string(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"accepted", "attempt", "model", "run", "state", "trigger"}
	if got := slices.Sorted(maps.Keys(all[0])); !slices.Equal(got, want) {
		t.Errorf("the fields are %v, want %v", got, want)
	}
}
