//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate makes the process lead a group of its own.
func isolate(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate sends SIGTERM to the group that a process leads.
func terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

// kill sends SIGKILL to the group that a process leads.
func kill(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// exitCode returns the exit code as a container reports it: 128 plus the signal's number if a signal ended the process.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// Reap kills every process that carries the mark of a task. It returns an error if the processes cannot be listed.
func (r Runner) Reap(taskARN string) error {
	pids, err := markedPIDs(mark + "=" + taskARN)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // the process may have ended by itself
	}
	return err
}
