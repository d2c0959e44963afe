package process

import (
	"os"
	"os/exec"
)

// Windows has neither groups nor signals that fit: a process is ended at once, and by itself.

func isolate(*exec.Cmd) {}

func terminate(pid int) { kill(pid) }

func kill(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// Reap does nothing: what a crash left behind must be ended by hand.
func (r Runner) Reap(string) error { return nil }
