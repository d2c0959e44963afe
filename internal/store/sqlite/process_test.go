package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/sqlite"
	"modeldispatch/internal/store/storetest"
)

// These environment variables make a process of this test binary commit to a store instead of running tests.
const (
	fileVariable  = "SQLITE_TEST_FILE"
	timesVariable = "SQLITE_TEST_TIMES"
)

var (
	total = store.Key{PK: "total", SK: "-"}
	left  = store.Key{PK: "account/left", SK: "-"}
	right = store.Key{PK: "account/right", SK: "-"}
)

func TestMain(m *testing.M) {
	file := os.Getenv(fileVariable)
	if file == "" {
		os.Exit(m.Run())
	}
	if err := count(file, os.Getenv(timesVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// count runs in a child process. It opens the store, prints "open", and waits for a line. Then it commits additions to
// the three documents, as often as times says, and prints "committed" and a number after each.
func count(file, times string) error {
	ctx := context.Background()
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, file)
	if err != nil {
		return err
	}
	fmt.Println("open")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for i := range n {
		if err := storetest.Add(ctx, s, map[store.Key]int{total: 1, left: -1, right: 1}); err != nil {
			return err
		}
		fmt.Println("committed", i+1)
	}
	return s.Close()
}

// child is a process that runs count.
type child struct {
	*exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	errors *strings.Builder
}

// start starts a child process.
func start(t *testing.T, file string, times int) *child {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.CommandContext(t.Context(), binary), errors: &strings.Builder{}}
	c.Env = append(os.Environ(), fileVariable+"="+file, timesVariable+"="+strconv.Itoa(times))
	c.Stderr = c.errors
	out, err := c.StdoutPipe()
	if err == nil {
		c.in, err = c.StdinPipe()
	}
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	return c
}

// waitFor reads the next line of the process, and fails the test if it is not want.
func (c *child) waitFor(t *testing.T, want string) {
	t.Helper()
	if !c.out.Scan() || c.out.Text() != want {
		_ = c.Process.Kill() // fails if the process has ended
		t.Fatalf("the process printed %q, want %q; it ended with %v: %s", c.out.Text(), want, c.Wait(), c.errors)
	}
}

// begin lets the process start its commits.
func (c *child) begin(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

// prepare creates the three documents, each with the number 0.
func prepare(t *testing.T, file string) *sqlite.Store {
	t.Helper()
	s := open(t, file)
	var writes []store.Write
	for _, key := range []store.Key{total, left, right} {
		writes = append(writes, store.Create(store.Doc{Key: key, Body: []byte(`0`)}))
	}
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	return s
}

// check returns the number of commits in the file. It fails the test if the file holds a part of a commit or is
// damaged.
func check(t *testing.T, file string) int {
	t.Helper()
	s := open(t, file)
	values := map[store.Key]int{}
	for _, key := range []store.Key{total, left, right} {
		d, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(d.Body))
		if err != nil {
			t.Fatal(err)
		}
		if values[key] = n; d.Version != int64(values[total])+1 {
			t.Errorf("%s has version %d after %d commits, want %d", key, d.Version, values[total], values[total]+1)
		}
	}
	if values[left] != -values[total] || values[right] != values[total] {
		t.Errorf("the file holds a part of a commit: %v", values)
	}
	var integrity string
	if err := raw(t, file).QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&integrity); err != nil || integrity != "ok" {
		t.Errorf("integrity_check of the file = %s, %v, want ok", integrity, err)
	}
	return values[total]
}

func TestProcessesShareAFile(t *testing.T) {
	t.Parallel()
	const processes, each = 3, 100
	file := filepath.Join(t.TempDir(), "store.db")
	s := prepare(t, file)
	var children []*child
	for range processes {
		children = append(children, start(t, file, each))
	}
	for _, c := range children {
		c.waitFor(t, "open")
	}
	for _, c := range children {
		c.begin(t)
	}
	for range each { // this process commits too
		if err := storetest.Add(t.Context(), s, map[store.Key]int{total: 1, left: -1, right: 1}); err != nil {
			t.Error(err)
		}
	}
	for i, c := range children {
		for n := range each {
			c.waitFor(t, fmt.Sprint("committed ", n+1))
		}
		if err := c.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, c.errors)
		}
	}
	if got, want := check(t, file), (processes+1)*each; got != want {
		t.Errorf("%d increments left %d", want, got)
	}
}

// TestProcessesCreateTheSameFile opens a file that does not exist yet from several processes at once.
func TestProcessesCreateTheSameFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	var children []*child
	for range 4 {
		children = append(children, start(t, file, 0))
	}
	for _, c := range children {
		c.waitFor(t, "open")
		c.begin(t)
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %s", err, c.errors)
		}
	}
}

// TestKilledProcessLeavesNoPartOfACommit kills a process several times in the middle of its commits. The file must hold
// every commit that the process reported, and at most one more.
func TestKilledProcessLeavesNoPartOfACommit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	if err := prepare(t, file).Close(); err != nil {
		t.Fatal(err)
	}
	before := 0
	for _, kill := range []int{1, 2, 17, 40, 5} {
		c := start(t, file, 1_000_000)
		c.waitFor(t, "open")
		c.begin(t)
		for n := range kill {
			c.waitFor(t, fmt.Sprint("committed ", n+1))
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		reported := kill
		for c.out.Scan() { // commits that it reported before it died
			if text, whole := strings.CutPrefix(c.out.Text(), "committed "); whole {
				if n, err := strconv.Atoi(text); err == nil {
					reported = max(reported, n)
				}
			}
		}
		var exit *exec.ExitError
		if err := c.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("the process was not killed: %v: %s", err, c.errors)
		}
		after := check(t, file)
		if done := after - before; done < reported || done > reported+1 {
			t.Errorf("the file holds %d commits of the process, which reported %d", done, reported)
		}
		before = after
	}
}
