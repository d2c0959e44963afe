package process

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// marked are the processes that have a variable in their environment.
func marked(variable string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, file := range files {
		environment, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, or is somebody else's
		}
		has := slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(v []byte) bool { return string(v) == variable })
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && has {
			pids = append(pids, pid)
		}
	}
	return pids, err
}
