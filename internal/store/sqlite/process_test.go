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

// The environment of a process that these tests start: this test binary, which commits to a store
// instead of running tests.
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

// count opens the store, says so, waits for a line, and then adds to the documents as often as it
// is told to, saying each time when it is done.
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

// child is a process that counts.
type child struct {
	*exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	errors *strings.Builder
}

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

// says waits for the process to say something.
func (c *child) says(t *testing.T, want string) {
	t.Helper()
	if !c.out.Scan() || c.out.Text() != want {
		_ = c.Process.Kill() // it may have ended
		t.Fatalf("the process said %q, want %q; it ended with %v: %s", c.out.Text(), want, c.Wait(), c.errors)
	}
}

func (c *child) begin(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

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

// check tells how often the file was added to, and that no commit is there in part.
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
		t.Errorf("commits are there in part: %v", values)
	}
	var integrity string
	if err := raw(t, file).QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&integrity); err != nil || integrity != "ok" {
		t.Errorf("the file's integrity: %s, %v", integrity, err)
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
		c.says(t, "open")
	}
	for _, c := range children {
		c.begin(t)
	}
	for range each { // this process takes part
		if err := storetest.Add(t.Context(), s, map[store.Key]int{total: 1, left: -1, right: 1}); err != nil {
			t.Error(err)
		}
	}
	for i, c := range children {
		for n := range each {
			c.says(t, fmt.Sprint("committed ", n+1))
		}
		if err := c.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, c.errors)
		}
	}
	if got, want := check(t, file), (processes+1)*each; got != want {
		t.Errorf("%d increments left %d", want, got)
	}
}

// TestProcessesMakeTheSameFile opens a file that is not there yet from several processes at once.
func TestProcessesMakeTheSameFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	var children []*child
	for range 4 {
		children = append(children, start(t, file, 0))
	}
	for _, c := range children {
		c.says(t, "open")
		c.begin(t)
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %s", err, c.errors)
		}
	}
}

// TestAKilledProcessLeavesNoHalfCommit kills a process in the middle of its commits, again and
// again: all that it said to be committed is there, and at most the one after that.
func TestAKilledProcessLeavesNoHalfCommit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	if err := prepare(t, file).Close(); err != nil {
		t.Fatal(err)
	}
	before := 0
	for _, kill := range []int{1, 2, 17, 40, 5} {
		c := start(t, file, 1_000_000)
		c.says(t, "open")
		c.begin(t)
		for n := range kill {
			c.says(t, fmt.Sprint("committed ", n+1))
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		said := kill
		for c.out.Scan() { // what it said before it was dead
			if text, whole := strings.CutPrefix(c.out.Text(), "committed "); whole {
				if n, err := strconv.Atoi(text); err == nil {
					said = max(said, n)
				}
			}
		}
		var exit *exec.ExitError
		if err := c.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("the process was not killed: %v: %s", err, c.errors)
		}
		after := check(t, file)
		if done := after - before; done < said || done > said+1 {
			t.Errorf("%d commits are there, and the process said that %d are", done, said)
		}
		before = after
	}
}
