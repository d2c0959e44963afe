package local_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/local"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
)

var kills = flag.Int("kills", 5, "number of times that TestKilledStackLosesAndDoublesNothing kills the stack")

// projectVariable names the environment variable that makes the test binary serve the stack of a project instead of
// running tests.
const projectVariable = "LOCAL_TEST_PROJECT"

// serve runs a stack until the process is killed. It prints the stack's URL, and then a line for each decision and each
// update of a run.
func serve(ctx context.Context, dir string) int {
	o, err := options(dir)
	if err == nil {
		var stack *local.Stack
		if stack, err = local.Start(ctx, o); err == nil {
			fmt.Println(stack.URL())
			stack.Watch(dispatch.Hooks{
				Decided:      func(_ event.Event, d records.Decision) { fmt.Println(d.Kind, d.Run) },
				Transitioned: func(x run.Transition) { fmt.Println(x.Run.State, x.Run.ID) },
			})
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestKilledStackLosesAndDoublesNothing kills a stack repeatedly in the middle of its work. At the end, each object
// whose put was answered has exactly one run, and that run has succeeded.
func TestKilledStackLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	answered := map[string]bool{}
	for round := range *kills {
		for _, uri := range loadAndKill(t, dir, round) {
			answered[uri] = true
		}
	}
	if len(answered) == 0 {
		t.Fatal("the stack answered no put, so the test shows nothing")
	}
	s := start(t, dir)
	var runs map[string][]run.Run
	s.waitFor(t, "the end of all runs", func() bool {
		runs = runsByObject(t, dir)
		return allEnded(runs)
	})
	s.checkTally(t)
	for uri := range answered {
		if len(runs[uri]) != 1 {
			t.Errorf("%s has %d runs, want 1", uri, len(runs[uri]))
		}
	}
	for uri, all := range runs {
		for _, r := range all {
			if r.State != run.Succeeded {
				t.Errorf("%s: run %s ended as %s: %v, want succeeded", uri, r.ID, r.State, r.Outcome)
			}
		}
	}
	t.Logf("%d kills, %d puts answered, %d objects with a run", *kills, len(answered), len(runs))
}

// loadAndKill starts a stack in a process of its own, puts objects, and kills the process after a random number of
// decisions and updates. It returns the objects whose put was answered.
func loadAndKill(t *testing.T, dir string, round int) []string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), binary)
	process.Env = append(os.Environ(), projectVariable+"="+dir)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the stack did not start: %v", process.Wait())
	}
	address, err := local.Endpoint(t.Context(), filepath.Join(dir, ".modeldispatch"))
	if err != nil {
		t.Fatal(err)
	}
	answered := load(t, address, round)
	go func() {
		if len(answered()) == 0 {
			_ = process.Process.Kill() // the stack makes no decisions to wait for; the process may have been killed already
		}
	}()
	for n := rand.IntN(40); n > 0 && lines.Scan(); n-- {
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = process.Wait() // it was killed
	return answered()
}

// load starts to put objects into a stack. The returned function waits until all puts have ended, and returns the
// objects whose put was answered.
func load(t *testing.T, address local.Address, round int) func() []string {
	client := awss3.NewFromConfig(endpoint(address), func(o *awss3.Options) {
		o.UsePathStyle, o.RetryMaxAttempts = true, 1 // two puts of an object may cause two runs
	})
	var mu sync.Mutex
	var all []string
	var puts sync.WaitGroup
	for i := range 15 {
		puts.Go(func() {
			uri := fmt.Sprintf("s3://landing/copy/%d-%d.txt", round, i)
			if err := put(t.Context(), client, uri, []byte(uri)); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, uri)
			}
		})
	}
	return func() []string {
		puts.Wait()
		return all
	}
}

// allEnded reports whether all runs have ended.
func allEnded(runs map[string][]run.Run) bool {
	for _, all := range runs {
		for _, r := range all {
			if !r.State.Ended() {
				return false
			}
		}
	}
	return true
}

// runsByObject returns all runs in the store of a project by the URIs of their objects.
func runsByObject(t *testing.T, dir string) map[string][]run.Run {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, ".modeldispatch", "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	all := map[string][]run.Run{}
	for q := (store.Query{Kind: records.KindRun}); ; {
		docs, next, err := db.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			r, err := records.Decode[run.Run](doc)
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := records.Read[run.Spec](t.Context(), db, records.SpecKey(r.ID))
			if err != nil {
				t.Fatal(err)
			}
			uri := spec.Inputs["file"]
			all[uri] = append(all[uri], r)
			if !strings.HasPrefix(uri, "s3://landing/copy/") {
				t.Errorf("run %s has the object %q", r.ID, uri)
			}
		}
		if q.Cursor = next; next == "" {
			return all
		}
	}
}
