package process_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/local/ecs"
	"modeldispatch/internal/local/process"
)

// stand runs containers in a folder of the test's.
type stand struct {
	runner process.Runner
	folder string
}

func newStand(t *testing.T) stand {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		t.Skip("there is no sh here: the tests of processes need a Unix")
	}
	folder := t.TempDir()
	return stand{process.Runner{Folder: func(string) string { return folder }, Logs: filepath.Join(folder, "logs")}, folder}
}

func (s stand) container(script string) ecs.Container {
	return ecs.Container{
		TaskARN: "arn:aws:ecs:us-east-1:000000000000:task/c/" + filepath.Base(s.folder) + filepath.Base(filepath.Dir(s.folder)), Family: "sales", Name: "model",
		Command: []string{"sh", "-c", script}, Log: filepath.Join("run", "1-model.log"),
	}
}

func (s stand) start(t *testing.T, c ecs.Container) ecs.Process {
	t.Helper()
	p, err := s.runner.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0); p.Wait() })
	return p
}

func (s stand) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, "logs", "run", "1-model.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ready waits until the process has made a named pipe speak: it has come that far.
func (s stand) ready(t *testing.T) {
	t.Helper()
	if _, err := os.ReadFile(filepath.Join(s.folder, "ready")); err != nil {
		t.Fatal(err)
	}
}

// pipe makes the named pipe that ready reads: opening it waits for the process.
func (s stand) pipe(t *testing.T) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "mkfifo", filepath.Join(s.folder, "ready")).Run(); err != nil {
		t.Fatal(err)
	}
}

func TestAProcessHasTheContainersEnvironmentAndFolder(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	c := s.container(`echo "$NAME" "$SECRET_OF_THIS_MACHINE"; pwd; echo oh >&2; exit 3`)
	c.Environment = []string{"NAME=a value with blanks"}
	if exit := s.start(t, c).Wait(); exit.Code != 3 || exit.OutOfMemory {
		t.Errorf("it exited with %+v, want 3", exit)
	}
	real, err := filepath.EvalSymlinks(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	if want := "a value with blanks \n" + real + "\noh\n"; s.log(t) != want {
		t.Errorf("its log is %q, want %q", s.log(t), want)
	}
}

func TestASignalIsAnExitCode(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	if exit := s.start(t, s.container("kill -9 $$")).Wait(); exit.Code != 137 {
		t.Errorf("it exited with %d, want 137", exit.Code)
	}
}

func TestStopAsksAndThenMakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		after  time.Duration
		code   int
	}{
		"it does as asked":    {`trap 'exit 5' TERM; echo > ready; while :; do read x < ready; done`, time.Minute, 5},
		"it does not":         {`trap '' TERM; echo > ready; while :; do read x < ready; done`, 10 * time.Millisecond, 137},
		"it knows no signals": {`echo > ready; read x < ready`, time.Minute, 143},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.pipe(t)
			p := s.start(t, s.container(test.script))
			s.ready(t)
			p.Stop(test.after)
			if exit := p.Wait(); exit.Code != test.code {
				t.Errorf("it exited with %d, want %d", exit.Code, test.code)
			}
			p.Stop(test.after) // what has exited is left alone
		})
	}
}

// TestWhatAProcessLeavesBehindEndsWithIt: its children are of its group, wherever they are by then.
func TestWhatAProcessLeavesBehindEndsWithIt(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.pipe(t)
	// The child holds the pipe open for writing: it is read to its end only when the child is gone.
	if exit := s.start(t, s.container(`(exec 3> ready; while :; do :; done) & read x < /dev/null; exit 0`)).Wait(); exit.Code != 0 {
		t.Errorf("it exited with %d", exit.Code)
	}
	writer, err := os.OpenFile(filepath.Join(s.folder, "ready"), os.O_RDWR, 0) // a writer of our own, so that the read below is not waited for
	if err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(filepath.Join(s.folder, "ready"))
	if err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if n, err := reader.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v, want the end: the child still lives", n, err)
	}
	_ = reader.Close()
}

func TestReapEndsWhatAnEarlierProcessStarted(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.pipe(t)
	c := s.container(`trap '' TERM; echo > ready; while :; do read x < ready; done`)
	p := s.start(t, c)
	s.ready(t)
	if err := s.runner.Reap("arn:aws:ecs:us-east-1:000000000000:task/c/of-others"); err != nil {
		t.Fatal(err)
	}
	if err := s.runner.Reap(c.TaskARN); err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); exit.Code != 137 {
		t.Errorf("it exited with %d, want 137", exit.Code)
	}
}

func TestWhatCannotBeStartedSaysWhy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		command []string
		want    string
	}{
		"no such program": {[]string{"no-such-program"}, `"no-such-program" is not on this machine: install it, or give the model a local.command that is`},
		"no such file":    {[]string{"./no-such-file"}, `"./no-such-file" is not on this machine`},
		"no command":      {nil, "has no command on this machine: its model needs a local.command in model.yaml; where that mentions inputs, only runs have it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			c := s.container("")
			c.Command = test.command
			if _, err := s.runner.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start = %v, want …%s…", err, test.want)
			}
		})
	}
}

// TestALogStaysInTheFolderOfLogs whatever its path is made of.
func TestALogStaysInTheFolderOfLogs(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	outside := t.TempDir()
	if err := os.Mkdir(s.runner.Logs, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": outside, "x.log": filepath.Join(outside, "x.log")} {
		if err := os.Symlink(to, filepath.Join(s.runner.Logs, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, log := range []string{"../x.log", "run/../../x.log", filepath.Join(outside, "x.log"), "link/x.log", "link/run/x.log", "x.log", ".."} {
		c := s.container("echo outside")
		c.Log = log
		if p, err := s.runner.Start(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "CannotStartContainerError: ") {
			t.Errorf("the log %s: Start = %v, %v", log, p, err)
		}
	}
	for folder, want := range map[string]int{s.folder: 1, outside: 0} { // the folder of logs alone
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != want {
			t.Errorf("in %s there are %v, %v", folder, entries, err)
		}
	}
}
