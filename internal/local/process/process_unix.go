//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate makes the process the leader of a group of its own.
func isolate(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks a group to end.
func terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

// kill ends a group.
func kill(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// exitCode is the exit code as a container has it: 128 and the number for a signal.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// Reap ends what is left of a task's processes.
func (r Runner) Reap(taskARN string) error {
	pids, err := marked(mark + "=" + taskARN)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	return err
}
