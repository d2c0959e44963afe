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

// fixture runs containers in a folder that belongs to one test.
type fixture struct {
	runner process.Runner
	folder string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the containers of this test are shell scripts: run it on a Unix, or in WSL")
	}
	folder := t.TempDir()
	return fixture{process.Runner{Folder: func(string) string { return folder }, Logs: filepath.Join(folder, "logs")}, folder}
}

func (s fixture) container(script string) ecs.Container {
	return ecs.Container{
		TaskARN: "arn:aws:ecs:us-east-1:000000000000:task/c/" + filepath.Base(s.folder) + filepath.Base(filepath.Dir(s.folder)),
		Family:  "sales", Name: "model", Command: []string{"sh", "-c", script}, Log: filepath.Join("run", "1-model.log"),
	}
}

func (s fixture) start(t *testing.T, c ecs.Container) ecs.Process {
	t.Helper()
	p, err := s.runner.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0); p.Wait() })
	return p
}

func (s fixture) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, "logs", "run", "1-model.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// waitReady waits until the container's script has written to the named pipe.
func (s fixture) waitReady(t *testing.T) {
	t.Helper()
	if _, err := os.ReadFile(filepath.Join(s.folder, "ready")); err != nil {
		t.Fatal(err)
	}
}

// makePipe makes the named pipe that waitReady reads. Opening it for reading blocks until the script opens it for
// writing.
func (s fixture) makePipe(t *testing.T) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "mkfifo", filepath.Join(s.folder, "ready")).Run(); err != nil {
		t.Fatal(err)
	}
}

func TestStartSetsEnvironmentAndFolder(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	c := s.container(`echo "$NAME" "$SECRET_OF_THIS_MACHINE"; pwd; echo oh >&2; exit 3`)
	c.Environment = []string{"NAME=a value with blanks"}
	if exit := s.start(t, c).Wait(); exit.Code != 3 || exit.OutOfMemory {
		t.Errorf("the process exited with %+v, want code 3", exit)
	}
	real, err := filepath.EvalSymlinks(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	if want := "a value with blanks \n" + real + "\noh\n"; s.log(t) != want {
		t.Errorf("the log is %q, want %q", s.log(t), want)
	}
}

func TestSignalBecomesExitCode(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	if exit := s.start(t, s.container("kill -9 $$")).Wait(); exit.Code != 137 {
		t.Errorf("the process exited with %d, want 137", exit.Code)
	}
}

func TestStopTerminatesThenKills(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		after  time.Duration
		code   int
	}{
		"exits on SIGTERM": {`trap 'exit 5' TERM; echo > ready; while :; do read x < ready; done`, time.Minute, 5},
		"ignores SIGTERM":  {`trap '' TERM; echo > ready; while :; do read x < ready; done`, 10 * time.Millisecond, 137},
		"has no trap":      {`echo > ready; read x < ready`, time.Minute, 143},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFixture(t)
			s.makePipe(t)
			p := s.start(t, s.container(test.script))
			s.waitReady(t)
			p.Stop(test.after)
			if exit := p.Wait(); exit.Code != test.code {
				t.Errorf("the process exited with %d, want %d", exit.Code, test.code)
			}
			p.Stop(test.after) // has no effect after the exit
		})
	}
}

// TestExitKillsChildProcesses checks that a child in the background does not outlive the container's process.
func TestExitKillsChildProcesses(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	s.makePipe(t)
	// The child holds the pipe open for writing, so a reader reaches the end of the pipe only when the child is gone.
	if exit := s.start(t, s.container(`(exec 3> ready; while :; do :; done) & read x < /dev/null; exit 0`)).Wait(); exit.Code != 0 {
		t.Errorf("the process exited with %d, want 0", exit.Code)
	}
	writer, err := os.OpenFile(filepath.Join(s.folder, "ready"), os.O_RDWR, 0) // with a writer, opening the reader below does not block
	if err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(filepath.Join(s.folder, "ready"))
	if err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if n, err := reader.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v, want the end of the pipe: the child still lives", n, err)
	}
	_ = reader.Close()
}

func TestReapKillsProcessesOfTask(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	s.makePipe(t)
	c := s.container(`trap '' TERM; echo > ready; while :; do read x < ready; done`)
	p := s.start(t, c)
	s.waitReady(t)
	if err := s.runner.Reap("arn:aws:ecs:us-east-1:000000000000:task/c/another"); err != nil {
		t.Fatal(err)
	}
	if err := s.runner.Reap(c.TaskARN); err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); exit.Code != 137 {
		t.Errorf("the process exited with %d, want 137", exit.Code)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		command []string
		want    string
	}{
		"no such program": {
			[]string{"no-such-program"},
			`"no-such-program" is not on this machine: install it, or name an installed program in the model's local.command`,
		},
		"no such file": {[]string{"./no-such-file"}, `"./no-such-file" is not on this machine`},
		"no command": {
			nil,
			`container "model" has no command on this machine: give its model a local.command in model.yaml; ` +
				"only runs get a local.command that mentions inputs: use modeldispatch run, or a command override",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFixture(t)
			c := s.container("")
			c.Command = test.command
			if _, err := s.runner.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start = %v, want …%s…", err, test.want)
			}
		})
	}
}

// TestLogStaysInLogFolder tries log paths with "..", absolute paths and symbolic links.
func TestLogStaysInLogFolder(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	outside := t.TempDir()
	if err := os.Mkdir(s.runner.Logs, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": outside, "x.log": filepath.Join(outside, "x.log")} {
		if err := os.Symlink(to, filepath.Join(s.runner.Logs, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, log := range []string{
		"../x.log", "run/../../x.log", filepath.Join(outside, "x.log"), "link/x.log", "link/run/x.log", "x.log", "..",
	} {
		c := s.container("echo outside")
		c.Log = log
		if p, err := s.runner.Start(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "CannotStartContainerError: ") {
			t.Errorf("the log %s: Start = %v, %v, want CannotStartContainerError", log, p, err)
		}
	}
	for folder, want := range map[string]int{s.folder: 1, outside: 0} { // s.folder has the folder of logs only
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != want {
			t.Errorf("%s contains %v, %v, want %d entries", folder, entries, err, want)
		}
	}
}
