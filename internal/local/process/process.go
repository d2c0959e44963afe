// Package process runs containers as processes of this machine: in the model's folder, with the
// container's environment, and with its output straight into a file.
//
// A process leads a group of its own, which is ended as a whole. It carries the ARN of its task in
// its environment, so that what is left of a task after a crash of the local stack can be found
// and ended, and nobody else's process ever is.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"modeldispatch/internal/local/ecs"
	"modeldispatch/internal/private"
)

// mark is the variable that tells a task's processes from all others.
const mark = "MODELDISPATCH_TASK_ARN"

// inherited are the variables of this machine that a process needs to find its programs and caches.
var inherited = []string{"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "USER", "GOCACHE", "GOPATH", "GOMODCACHE", "GOFLAGS", "GOPROXY", "SystemRoot", "TEMP"}

// Runner starts processes.
type Runner struct {
	// Folder is where the processes of a task definition's family run.
	Folder func(family string) string
	// Logs is the folder of containers' logs. It is made if it is not there.
	Logs string
}

// Start starts a container as a process.
func (r Runner) Start(_ context.Context, c ecs.Container) (ecs.Process, error) {
	if len(c.Command) == 0 {
		return nil, fmt.Errorf("CannotStartContainerError: container %q has no command on this machine: its model needs a local.command in model.yaml; where that mentions inputs, only runs have it: use modeldispatch run, or a command override", c.Name)
	}
	program, err := exec.LookPath(c.Command[0])
	if strings.ContainsRune(c.Command[0], filepath.Separator) {
		program, err = c.Command[0], nil // is looked for in the model's folder
	}
	if err != nil {
		return nil, fmt.Errorf("CannotStartContainerError: %q is not on this machine: install it, or give the model a local.command that is", c.Command[0])
	}
	log, err := r.openLog(c.Log)
	if err != nil {
		return nil, fmt.Errorf("CannotStartContainerError: %w", err)
	}
	defer func() { _ = log.Close() }() // the process has its own handle
	command := exec.Command(program, c.Command[1:]...)
	command.Dir, command.Env = r.Folder(c.Family), environment(c)
	command.Stdout, command.Stderr = log, log
	isolate(command)
	if err := command.Start(); err != nil {
		return nil, startError(c, err)
	}
	p := &process{command: command, exited: make(chan struct{})}
	go p.wait()
	return p, nil
}

// openLog opens a container's log. Names from outside are part of its path, such as the container's own: os.Root refuses a
// path that leads out of the folder.
func (r Runner) openLog(name string) (*os.File, error) {
	if err := private.Folder(r.Logs); err != nil {
		return nil, err
	}
	logs, err := os.OpenRoot(r.Logs)
	if err != nil {
		return nil, err
	}
	defer func() { _ = logs.Close() }()
	if err := logs.MkdirAll(filepath.Dir(name), private.FolderMode); err != nil {
		return nil, err
	}
	return logs.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, private.FileMode)
}

func startError(c ecs.Container, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("CannotStartContainerError: %q is not on this machine: %w", c.Command[0], err)
	}
	return fmt.Errorf("CannotStartContainerError: %w", err)
}

// environment is the container's own, over what this machine's programs need.
func environment(c ecs.Container) []string {
	var all []string
	for _, name := range inherited {
		if value, set := os.LookupEnv(name); set {
			all = append(all, name+"="+value)
		}
	}
	return slices.Concat(all, c.Environment, []string{mark + "=" + c.TaskARN})
}

// process is a container that runs as a process.
type process struct {
	command *exec.Cmd
	exited  chan struct{} // closed once exit is set
	exit    ecs.Exit
	once    sync.Once
}

func (p *process) wait() {
	_ = p.command.Wait() // what matters of its error is in the state
	p.exit.Code = exitCode(p.command.ProcessState)
	kill(p.command.Process.Pid) // what its group left behind
	close(p.exited)
}

// Wait returns when the process has exited.
func (p *process) Wait() ecs.Exit {
	<-p.exited
	return p.exit
}

// Stop asks the process's group to end, and ends it after a while.
func (p *process) Stop(after time.Duration) {
	p.once.Do(func() {
		select {
		case <-p.exited:
			return
		default:
		}
		terminate(p.command.Process.Pid)
		go func() {
			timer := time.NewTimer(after)
			defer timer.Stop()
			select {
			case <-p.exited:
			case <-timer.C:
				kill(p.command.Process.Pid)
			}
		}()
	})
}
