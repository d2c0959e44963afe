// Package play plays sample events on the local stack and compares what becomes of them with
// what their plan declares.
package play

import (
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
	"modeldispatch/internal/local/strict"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
)

// PlanFile is the file in a folder of events that says in which order they are played, and what
// must come of each.
const PlanFile = "play.yaml"

// stepTimeout is how long one event may take to its last end.
const stepTimeout = 2 * time.Minute

// Step is one event of a plan.
type Step struct {
	Event   string            `yaml:"event"`   // file beside the plan: a payload as AWS delivers it
	Put     []string          `yaml:"put"`     // S3 URIs: objects that are put there, one after another, as by any client
	Objects map[string]string `yaml:"objects"` // put in place before: S3 URI -> file
	Install map[string]string `yaml:"install"` // program that a model needs -> how to get it
	Expect  map[string]Counts `yaml:"expect"`  // model, or "-" for no model, -> what becomes of the event for it
}

// Name is what the step is called: its file, or the first of its objects. A step without either waits for what happens
// by itself.
func (s Step) Name() string {
	switch {
	case s.Event != "":
		return s.Event
	case len(s.Put) > 0:
		return s.Put[0]
	}
	return "what happens by itself"
}

// Counts says how often something becomes of an event: succeeded, failed, cancelled, skipped,
// joined, duplicate, rejected or unmatched.
type Counts map[string]int

// UnmarshalYAML also reads one word, which is that word once.
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

// ReadPlan reads the plan of a folder.
func ReadPlan(folder string) ([]Step, error) {
	file := filepath.Join(folder, PlanFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading what to play: %w; a folder of events has a %s that lists them", err, PlanFile)
	}
	steps, err := parsePlan(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return steps, nil
}

func parsePlan(text []byte) (steps []Step, err error) {
	err = strict.YAML(text, &steps)
	return steps, err
}

// Stack is what is played on.
type Stack interface {
	Deliver(ctx context.Context, payload []byte) error
	Seed(uri string, body io.Reader) error
	Put(ctx context.Context, uri string, body io.Reader) error
	Watch(dispatch.Notice)
}

// Happened is what became of one event for one model.
type Happened struct {
	Event    event.Event
	Decision dispatch.Decision
	Run      run.Run // as it ended; zero without a run
}

// Word is what a plan calls it.
func (h Happened) Word() string {
	if h.Decision.Verdict == dispatch.Started {
		return string(h.Run.State)
	}
	return string(h.Decision.Verdict)
}

// Result is what became of one step.
type Result struct {
	Step     Step
	LeftOut  string // why it was not played, and how it can be
	Happened []Happened
	Wrong    string // how it differs from what was declared; "" when it does not
}

// Player plays plans.
type Player struct {
	Stack   Stack
	Catalog model.Catalog
	Folder  string
}

// Play plays the steps one after the other; told is called with each result as it comes.
func (p Player) Play(ctx context.Context, steps []Step, told func(Result)) error {
	w := newWatcher()
	p.Stack.Watch(dispatch.Notice{Decided: w.decided, Moved: w.moved})
	for _, step := range steps {
		result, err := p.play(ctx, w, step)
		if err != nil {
			return fmt.Errorf("playing %s: %w", step.Name(), err)
		}
		told(result)
	}
	return nil
}

func (p Player) play(ctx context.Context, w *watcher, step Step) (Result, error) {
	if why := p.leaveOut(step); why != "" {
		return Result{Step: step, LeftOut: why}, nil
	}
	for uri, file := range step.Objects {
		if err := p.seed(uri, file); err != nil {
			return Result{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	w.expect(step.total())
	if err := p.happen(ctx, step); err != nil {
		return Result{}, err
	}
	happened, err := w.wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what is missing is told below
	}
	return Result{Step: step, Happened: happened, Wrong: step.compare(happened)}, err
}

// happen has the event of a step happen, and its objects arrive.
func (p Player) happen(ctx context.Context, step Step) error {
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

// leaveOut says why a step cannot be played here: the program of a model that it would run is
// not on this machine.
func (p Player) leaveOut(step Step) string {
	for _, name := range slices.Sorted(maps.Keys(step.Expect)) {
		m, known := p.Catalog.Model(name)
		if !known || len(m.Command) == 0 || step.Expect[name].runs() == 0 {
			continue
		}
		program := m.Command[0].String()
		if strings.ContainsAny(program, "/{") {
			continue
		}
		if _, err := exec.LookPath(program); err != nil {
			how := step.Install[program]
			if how == "" {
				how = "with it installed and in the PATH this is played too"
			}
			return fmt.Sprintf("model %q needs %s, which is not on this machine: %s", name, program, how)
		}
	}
	return ""
}

// total is how many decisions a step leads to.
func (s Step) total() int {
	total := 0
	for _, counts := range s.Expect {
		for _, n := range counts {
			total += n
		}
	}
	return total
}

// runs is how many of the counts are runs.
func (c Counts) runs() int {
	runs := 0
	for _, s := range []run.State{run.Succeeded, run.Failed, run.Cancelled, run.Skipped} {
		runs += c[string(s)]
	}
	return runs
}

// compare says how what happened differs from what was declared.
func (s Step) compare(happened []Happened) string {
	got := map[string]Counts{}
	for _, h := range happened {
		if v := h.Decision.Verdict; s.Expect["-"] == nil && (v == dispatch.Unmatched || v == dispatch.Awaited) {
			continue // objects that no model takes are only looked at where something is declared of them
		}
		name := h.Decision.Model
		if name == "" {
			name = "-"
		}
		if got[name] == nil {
			got[name] = Counts{}
		}
		got[name][h.Word()]++
	}
	if maps.EqualFunc(got, s.Expect, maps.Equal[Counts, Counts]) {
		return ""
	}
	return fmt.Sprintf("declared %s, got %s", describe(s.Expect), describe(got))
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

// watcher collects what happens to the events of one step.
type watcher struct {
	mu      sync.Mutex
	want    int
	happens []Happened
	ended   map[string]run.Run
	changed chan struct{} // holds a token when something has changed
}

func newWatcher() *watcher {
	return &watcher{ended: map[string]run.Run{}, changed: make(chan struct{}, 1)}
}

func (w *watcher) expect(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want, w.happens = n, nil
}

func (w *watcher) decided(e event.Event, d dispatch.Decision) {
	w.change(func() { w.happens = append(w.happens, Happened{Event: e, Decision: d}) })
}

func (w *watcher) moved(_, after run.Run) {
	if after.State.Ended() {
		w.change(func() { w.ended[after.ID] = after })
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

// wait returns once as much has been decided as was expected, and every run of it has ended.
func (w *watcher) wait(ctx context.Context) ([]Happened, error) {
	for {
		happened, complete := w.state()
		if complete {
			return happened, nil
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return happened, ctx.Err()
		}
	}
}

func (w *watcher) state() ([]Happened, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	complete := len(w.happens) >= w.want
	happened := slices.Clone(w.happens)
	for i, h := range happened {
		if h.Decision.Verdict != dispatch.Started {
			continue
		}
		ended, has := w.ended[h.Decision.Run]
		complete = complete && has
		happened[i].Run = ended
	}
	return happened, complete
}
