package fargate

import (
	"slices"

	"modeldispatch/internal/model"
)

// memoryRange holds the memory sizes for one number of CPU units: the smallest, the largest and the step
// between two of them, in MiB. A step of 0 means that each size is twice the one before.
type memoryRange struct{ cpu, from, to, step int }

// memoryRanges lists the sizes of Fargate tasks (ECS developer guide, "Task CPU and memory"; 8192 and
// 16384 CPU units need Linux platform version 1.4.0 or later).
var memoryRanges = []memoryRange{
	{256, 512, 2048, 0},
	{512, 1024, 4096, 1024},
	{1024, 2048, 8192, 1024},
	{2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024},
	{8192, 16384, 61440, 4096},
	{16384, 32768, 122880, 8192},
}

// Sizes returns all sizes of a Fargate task, ordered by CPU and then by memory.
func Sizes() []model.Size {
	var all []model.Size
	for _, r := range memoryRanges {
		for memory := r.from; memory <= r.to; memory = r.next(memory) {
			all = append(all, model.Size{CPU: r.cpu, Memory: memory})
		}
	}
	return all
}

// next returns the memory size after the given one.
func (r memoryRange) next(memory int) int {
	if r.step == 0 {
		return 2 * memory
	}
	return memory + r.step
}

// ValidSize reports whether a Fargate task can have this size, in CPU units and MiB.
func ValidSize(cpu, memory int) bool {
	return slices.Contains(Sizes(), model.Size{CPU: cpu, Memory: memory})
}

// NextSize returns the next size with more memory, up to a limit in MiB. It keeps the CPU units if it can,
// and otherwise adds as few as possible. It reports false if no size is left below the limit.
func NextSize(from model.Size, maxMemory int) (model.Size, bool) {
	sizes := Sizes() // ordered by CPU: the first match has the fewest CPU units
	i := slices.IndexFunc(sizes, func(s model.Size) bool {
		return s.CPU >= from.CPU && s.Memory > from.Memory && s.Memory <= maxMemory
	})
	if i < 0 {
		return model.Size{}, false
	}
	return sizes[i], true
}
