package process

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// markedPIDs returns the ids of the processes that have the variable, given as NAME=value, in their environment.
func markedPIDs(variable string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, file := range files {
		environment, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended, or belongs to another user
		}
		has := slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(v []byte) bool { return string(v) == variable })
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && has {
			pids = append(pids, pid)
		}
	}
	return pids, err
}
