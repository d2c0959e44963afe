// Package process runs the containers of local tasks as processes of this machine.
//
// It stands at the last step of a launch. The local ECS accepts RunTask and calls Runner.Start for
// each container of the task. A container's process runs in the model's folder with the container's
// environment, and writes its standard output and standard error to one log file.
//
// Terms:
//
//   - A process group holds the process of a container and its children. The process leads a group
//     of its own, so one signal reaches all of them.
//   - The mark is the variable MODELDISPATCH_TASK_ARN in a process's environment. It names the task,
//     and it tells a task's processes from every other process of the machine.
//   - Reaping kills the processes that carry a task's mark. The local ECS does it at its start, for
//     the tasks that a killed local stack left running.
//
// Entry points: Runner.Start starts a container. The ecs.Process that it returns waits for the exit
// and stops the container. Runner.Reap kills the processes of a task from an earlier start.
//
// Rules:
//
//   - A container that cannot start has an error that begins with CannotStartContainerError, as in
//     ECS. Package fargate takes the words "is not on this machine" for a permanent failure.
//   - Stop sends SIGTERM to the group, and SIGKILL after the container's stop timeout.
//   - When the container's process exits, the rest of its group is killed.
//   - A process inherits only the variables listed in inherited. Other variables of the developer's
//     shell, such as cloud credentials, do not reach a model.
//   - The image, the working directory and the memory limit of a container have no effect here.
//   - On Windows there are no groups and no signals: Stop kills the process at once, its children
//     live on, and Reap does nothing.
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

// mark names the environment variable that holds the ARN of a process's task.
const mark = "MODELDISPATCH_TASK_ARN"

// inherited lists the variables of this machine that a process needs to find its programs and caches.
var inherited = []string{
	"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "USER", "GOCACHE", "GOPATH", "GOMODCACHE", "GOFLAGS", "GOPROXY", "SystemRoot", "TEMP",
}

// Runner starts containers as processes. It implements ecs.Runner.
type Runner struct {
	// Folder returns the working directory for the processes of a task definition family.
	Folder func(family string) string
	// Logs is the folder for the logs of all containers. Start creates it if it does not exist.
	Logs string
}

// Start starts a container as a process, and appends its output to the log c.Log in the folder of logs. It
// returns an error that begins with CannotStartContainerError if the container has no command, the program is
// missing, or the log cannot be opened.
func (r Runner) Start(_ context.Context, c ecs.Container) (ecs.Process, error) {
	if len(c.Command) == 0 {
		const why = "CannotStartContainerError: container %q has no command on this machine: give its model a local.command in model.yaml; " +
			"only runs get a local.command that mentions inputs: use modeldispatch run, or a command override"
		return nil, fmt.Errorf(why, c.Name)
	}
	program, err := exec.LookPath(c.Command[0])
	if strings.ContainsRune(c.Command[0], filepath.Separator) {
		program, err = c.Command[0], nil // a path: relative to the model's folder
	}
	if err != nil {
		const why = "CannotStartContainerError: %q is not on this machine: install it, or name an installed program in the model's local.command"
		return nil, fmt.Errorf(why, c.Command[0])
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

// openLog opens a container's log for appending. The path contains names that come from outside, such as the
// container's name. os.Root refuses a path that leads out of the folder of logs.
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

// startError returns the CannotStartContainerError for an error of exec.Cmd.Start.
func startError(c ecs.Container, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("CannotStartContainerError: %q is not on this machine: %w", c.Command[0], err)
	}
	return fmt.Errorf("CannotStartContainerError: %w", err)
}

// environment returns the inherited variables, the container's own variables, and the mark. Where a name occurs twice,
// the process gets the last value, so the container's value wins.
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

// wait records the exit code of the process, kills the rest of its group, and then releases the callers of Wait.
func (p *process) wait() {
	_ = p.command.Wait() // ProcessState has the exit code or the signal
	p.exit.Code = exitCode(p.command.ProcessState)
	kill(p.command.Process.Pid) // ends the children that are still in the group
	close(p.exited)
}

// Wait blocks until the process has exited and its group is killed, and returns its exit code.
func (p *process) Wait() ecs.Exit {
	<-p.exited
	return p.exit
}

// Stop asks the process's group to exit, and kills the group if the process still runs after the given time. It returns
// at once. Only the first call has an effect, and a process that has already exited stays as it is.
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
