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
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
)

var kills = flag.Int("kills", 5, "how often the stack is killed in TestAKilledStackLosesAndDoublesNothing")

// projectVariable has the test binary serve a project's stack instead of running tests.
const projectVariable = "LOCAL_TEST_PROJECT"

// serve runs a stack until the process is killed. It prints its URL, and a line for all that happens.
func serve(ctx context.Context, dir string) int {
	o, err := options(dir)
	if err == nil {
		var stack *local.Stack
		if stack, err = local.Start(ctx, o); err == nil {
			fmt.Println(stack.URL())
			stack.Watch(dispatch.Notice{
				Decided: func(_ event.Event, d dispatch.Decision) { fmt.Println(d.Verdict, d.Run) },
				Moved:   func(_, after run.Run) { fmt.Println(after.State, after.ID) },
			})
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestAKilledStackLosesAndDoublesNothing kills a stack again and again in the middle of its work.
// Each object whose put was answered has exactly one run in the end, and it has succeeded.
func TestAKilledStackLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	answered := map[string]bool{}
	for round := range *kills {
		for _, uri := range loadAndKill(t, dir, round) {
			answered[uri] = true
		}
	}
	if len(answered) == 0 {
		t.Fatal("no put was answered: the test shows nothing")
	}
	s := start(t, dir)
	var runs map[string][]run.Run
	s.until(t, "the end of all runs", func() bool {
		runs = runsByObject(t, dir)
		return allEnded(runs)
	})
	s.settled(t)
	for uri := range answered {
		if len(runs[uri]) != 1 {
			t.Errorf("%s was put, and has %d runs", uri, len(runs[uri]))
		}
	}
	for uri, all := range runs {
		for _, r := range all {
			if r.State != run.Succeeded {
				t.Errorf("%s: run %s ended as %s: %v", uri, r.ID, r.State, r.Outcome)
			}
		}
	}
	t.Logf("%d kills, %d puts answered, %d objects with a run", *kills, len(answered), len(runs))
}

// loadAndKill starts a stack of its own, puts objects, and kills it after a random number of
// things have happened. It gives the objects whose put was answered.
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
	for n := rand.IntN(40); n > 0 && lines.Scan(); n-- {
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = process.Wait() // it was killed
	return answered()
}

// load puts objects at a stack. What it returns waits for the last answer.
func load(t *testing.T, address local.Address, round int) func() []string {
	client := awss3.NewFromConfig(endpoint(address), func(o *awss3.Options) {
		o.UsePathStyle, o.RetryMaxAttempts = true, 1 // what is put twice may run twice
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

func runsByObject(t *testing.T, dir string) map[string][]run.Run {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, ".modeldispatch", "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	all := map[string][]run.Run{}
	for q := (store.Query{Kind: dispatch.KindRun}); ; {
		docs, next, err := db.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			var r run.Run
			if err := dispatch.Decode(doc, &r); err != nil {
				t.Fatal(err)
			}
			spec, _, err := dispatch.Read[run.Spec](t.Context(), db, dispatch.SpecKey(r.ID))
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
