//go:build unix && !linux

package process

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// marked are the processes that have a variable in their environment, as ps shows it.
func marked(variable string) ([]int, error) {
	out, err := exec.Command("ps", "-axEww", "-o", "pid=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for processes: %w", err)
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
