//go:build unix && !linux

package process

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// markedPIDs returns the ids of the processes that have the variable, given as NAME=value, in the environment that ps
// shows.
func markedPIDs(variable string) ([]int, error) {
	out, err := exec.Command("ps", "-axEww", "-o", "pid=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the processes of this machine with ps: %w", err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) == 0 || !slices.Contains(words, variable) {
			continue
		}
		if pid, err := strconv.Atoi(words[0]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
