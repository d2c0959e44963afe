// Package play plays sample events on the local stack, and compares their results with the results that play.yaml
// wants. The command `modeldispatch local --play DIR` uses it. A play tests models with their triggers and policies,
// without an AWS account.
//
// In the flow (event -> binding -> run -> launch -> task -> outcome -> announcement) the package stands at both ends.
// It delivers the events, and it watches the decisions and the ends of the runs. The stack in between runs the same
// code as a deployment.
//
// Terms:
//
//   - play.yaml is a file in a folder of events. It lists the steps in their order.
//   - A step delivers one payload, puts objects, or only waits. It declares the results that it wants, by model.
//   - A decision (records.Decision) is the result of an event for one model. Started: the event has a run of its own.
//     Joined: it joined the run of an open debounce window. Duplicate: it was delivered before. Rejected: it cannot be
//     used, and is recorded with its payload. Awaited: no model matches it, but a run waits for its object. Unmatched:
//     no model matches it.
//   - A word names a result in play.yaml. If the event started a run, the word is the end state of the run (succeeded,
//     failed, cancelled, skipped). Otherwise it is the decision.
//   - A step is left out if a program that one of its models needs is not installed on this machine.
//
// Entry points: ReadSteps reads play.yaml, and Player.Play plays its steps. Player.leaveOut decides whether a step is
// left out, and Step.compare decides whether its results differ. A watcher collects the decisions and the ended runs.
//
// Rules:
//
//   - A step ends when there are as many decisions as it wants and every run that it started has ended, or after
//     stepTimeout. A step that runs out of time is no error: its results so far are compared.
//   - A decision that arrives after the end of its step, but before the next step starts, is dropped. A decision that
//     arrives later counts for the step that plays then.
//   - An event that no model matches (unmatched, awaited) is compared only if the step wants a result for "-".
//   - An error of the stack or of a file ends the play. A result that differs does not.
package play

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/yamldoc"
)

// File is the name of the file that lists the steps in a folder of events.
const File = "play.yaml"

// stepTimeout bounds the time from the start of a step to the end of its last run.
const stepTimeout = 2 * time.Minute

// Step is one entry of play.yaml. All fields are optional. A step without Event and Put waits for events that the stack
// produces by itself, such as those of schedules.
type Step struct {
	Event   string            `yaml:"event"`   // file beside play.yaml that holds a payload as AWS delivers it
	Put     []string          `yaml:"put"`     // S3 URIs of objects that a client puts, in this order; their content is the URI
	Objects map[string]string `yaml:"objects"` // objects to store first, without an event: S3 URI -> file beside play.yaml
	Install map[string]string `yaml:"install"` // program that a model needs -> instructions to install it
	Want    map[string]Counts `yaml:"want"`    // wanted results: model, or "-" for no model, -> counts
}

// Name returns the name of the step for messages: the file of its event, or the URI of its first object.
func (s Step) Name() string {
	switch {
	case s.Event != "":
		return s.Event
	case len(s.Put) > 0:
		return s.Put[0]
	}
	return "a step without an event"
}

// Counts holds the number of results for each word: succeeded, failed, cancelled, skipped, joined, duplicate, rejected,
// unmatched or awaited.
type Counts map[string]int

// UnmarshalYAML reads a map of words to numbers. A single word stands for that word once.
func (c *Counts) UnmarshalYAML(text []byte) error {
	var word string
	if err := yaml.Unmarshal(text, &word); err == nil {
		*c = Counts{word: 1}
		return nil
	}
	var counts map[string]int
	if err := yaml.Unmarshal(text, &counts); err != nil {
		return err
	}
	*c = counts
	return nil
}

// ReadSteps reads the steps in the play.yaml of a folder. It returns an error if the folder has no play.yaml, or if the
// file has an unknown field or is not a list of steps.
func ReadSteps(folder string) ([]Step, error) {
	file := filepath.Join(folder, File)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; a folder of events needs a %s that lists them", err, File)
	}
	steps, err := parseSteps(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(steps) == 0:
		return nil, fmt.Errorf("%s lists no step; expected a list such as [{event: arrival.json, want: {sales: {succeeded: 1}}}]", file)
	}
	return steps, nil
}

func parseSteps(text []byte) (steps []Step, err error) {
	err = yamldoc.Unmarshal(text, &steps)
	return steps, err
}

// Stack is the part of local.Stack that a play uses.
type Stack interface {
	// Deliver sends a payload to its function, on the path that AWS would use.
	Deliver(ctx context.Context, payload []byte) error
	// Seed stores an object without an event.
	Seed(uri string, body io.Reader) error
	// Put puts an object as a client does, so S3 emits an event.
	Put(ctx context.Context, uri string, body io.Reader) error
	// Watch calls the hooks for every decision and every change of a run from now on.
	Watch(dispatch.Hooks)
}

// EventResult holds the result of one event for one model.
type EventResult struct {
	Event    event.Event
	Decision records.Decision
	Run      run.Run // run in its end state; zero if the event started none, or if the run has not ended
}

// Word returns the word that play.yaml uses for the result, or "unfinished" for a run that has not ended.
func (r EventResult) Word() string {
	if r.Decision.Kind == records.Started {
		return cmp.Or(string(r.Run.State), "unfinished")
	}
	return string(r.Decision.Kind)
}

// StepResult holds the results of one step.
type StepResult struct {
	Step       Step
	LeftOut    string        // why the step was left out, with instructions to install the program; "" if it was played
	Decisions  []EventResult // results in the order of the decisions
	Difference string        // difference between the wanted results and these; "" if there is none
}

// Player plays the steps of a play.yaml. All fields are required.
type Player struct {
	Stack   Stack
	Catalog model.Catalog // models of the stack
	Folder  string        // folder of play.yaml and its files
}

// Play plays the steps one after the other, and calls report with the result of each step. It returns an error if a
// file cannot be read, if the stack returns an error, or if ctx ends. A result that differs is no error.
func (p Player) Play(ctx context.Context, steps []Step, report func(StepResult)) error {
	w := newWatcher()
	p.Stack.Watch(dispatch.Hooks{Decided: w.decided, Transitioned: w.transitioned})
	for _, step := range steps {
		result, err := p.play(ctx, w, step)
		if err != nil {
			return fmt.Errorf("playing %s: %w", step.Name(), err)
		}
		report(result)
	}
	return nil
}

func (p Player) play(ctx context.Context, w *watcher, step Step) (StepResult, error) {
	if reason := p.leaveOut(step); reason != "" {
		return StepResult{Step: step, LeftOut: reason}, nil
	}
	for uri, file := range step.Objects {
		if err := p.seed(uri, file); err != nil {
			return StepResult{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	w.begin(step)
	if err := p.deliver(ctx, step); err != nil {
		return StepResult{}, err
	}
	results, err := w.wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // compare reports the missing results
	}
	return StepResult{Step: step, Decisions: results, Difference: step.compare(results)}, err
}

// deliver delivers the payload of a step, and puts its objects.
func (p Player) deliver(ctx context.Context, step Step) error {
	if step.Event != "" {
		payload, err := os.ReadFile(filepath.Join(p.Folder, step.Event))
		if err != nil {
			return err
		}
		if err := p.Stack.Deliver(ctx, payload); err != nil {
			return err
		}
	}
	for _, uri := range step.Put {
		if err := p.Stack.Put(ctx, uri, strings.NewReader(uri)); err != nil {
			return err
		}
	}
	return nil
}

func (p Player) seed(uri, file string) error {
	body, err := os.Open(filepath.Join(p.Folder, file))
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return p.Stack.Seed(uri, body)
}

// leaveOut returns the reason if a step cannot be played on this machine, and "" if it can. A step needs the program of
// each model that it wants to run. A program with a path, or from an input, is not checked.
func (p Player) leaveOut(step Step) string {
	for _, name := range slices.Sorted(maps.Keys(step.Want)) {
		m, known := p.Catalog.Model(name)
		if !known || len(m.Command) == 0 || step.Want[name].runs() == 0 {
			continue
		}
		program := m.Command[0].String()
		if strings.ContainsAny(program, "/{") {
			continue
		}
		if _, err := exec.LookPath(program); err != nil {
			hint := cmp.Or(step.Install[program], "install it and add it to the PATH")
			return fmt.Sprintf("model %q needs %s, which is not on this machine: %s", name, program, hint)
		}
	}
	return ""
}

// total returns the number of decisions that a step wants.
func (s Step) total() int {
	total := 0
	for _, counts := range s.Want {
		for _, n := range counts {
			total += n
		}
	}
	return total
}

// runs returns the number of results that are ended runs.
func (c Counts) runs() int {
	runs := 0
	for _, s := range []run.State{run.Succeeded, run.Failed, run.Cancelled, run.Skipped} {
		runs += c[string(s)]
	}
	return runs
}

// ignores reports whether a decision is not compared: no model matches the event, and the step wants no result for "-".
func (s Step) ignores(d records.Decision) bool {
	return s.Want["-"] == nil && (d.Kind == records.Unmatched || d.Kind == records.Awaited)
}

// compare returns the difference between the wanted results and these, and "" if there is none.
func (s Step) compare(results []EventResult) string {
	got := map[string]Counts{}
	for _, r := range results {
		if s.ignores(r.Decision) {
			continue
		}
		name := cmp.Or(r.Decision.Model, "-")
		if got[name] == nil {
			got[name] = Counts{}
		}
		got[name][r.Word()]++
	}
	if maps.EqualFunc(got, s.Want, maps.Equal[Counts, Counts]) {
		return ""
	}
	return fmt.Sprintf("want %s, got %s", describe(s.Want), describe(got))
}

func describe(all map[string]Counts) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, word := range slices.Sorted(maps.Keys(all[name])) {
			words = append(words, fmt.Sprintf("%s: %d %s", name, all[name][word], word))
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// watcher collects the decisions of one step, and the ended runs of all steps.
type watcher struct {
	mu      sync.Mutex
	step    Step               // the step that plays
	results []EventResult      // decisions of the step so far, without their runs
	ended   map[string]run.Run // ended runs by id
	changed chan struct{}      // holds a token after a change
}

func newWatcher() *watcher {
	return &watcher{ended: map[string]run.Run{}, changed: make(chan struct{}, 1)}
}

// begin starts a step.
func (w *watcher) begin(step Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step, w.results = step, nil
}

func (w *watcher) decided(e event.Event, d records.Decision) {
	w.change(func() { w.results = append(w.results, EventResult{Event: e, Decision: d}) })
}

func (w *watcher) transitioned(t run.Transition) {
	if t.Ended {
		w.change(func() { w.ended[t.Run.ID] = t.Run })
	}
}

func (w *watcher) change(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// wait returns the results when there are as many decisions as the step wants and each run that it started has ended.
// If ctx ends first, it returns the results so far with the error of ctx.
func (w *watcher) wait(ctx context.Context) ([]EventResult, error) {
	for {
		results, complete := w.current()
		if complete {
			return results, nil
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return results, ctx.Err()
		}
	}
}

// current returns the results so far, with their ended runs, and reports whether the step is complete.
func (w *watcher) current() ([]EventResult, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	counted, complete := 0, true
	results := slices.Clone(w.results)
	for i, r := range results {
		if !w.step.ignores(r.Decision) {
			counted++
		}
		if r.Decision.Kind != records.Started {
			continue
		}
		ended, has := w.ended[r.Decision.Run]
		complete = complete && has
		results[i].Run = ended
	}
	return results, complete && counted >= w.step.total()
}
