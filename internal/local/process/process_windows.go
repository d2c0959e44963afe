package process

import (
	"os"
	"os/exec"
)

// Windows has no process groups and no SIGTERM. A container's process is killed at once, and its children live on.

func isolate(*exec.Cmd) {}

func terminate(pid int) { kill(pid) }

func kill(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// Reap does nothing. After a crash of the local stack, the user ends the remaining processes by hand.
func (r Runner) Reap(string) error { return nil }
