package fargate

import (
	"slices"

	"modeldispatch/internal/model"
)

// ladder is the sizes of one CPU value: the fewest and most MiB, and the step between.
type ladder struct{ cpu, from, to, step int }

// ladders are the sizes that Fargate has (ECS developer guide, "Task CPU and memory"; 8192 and
// 16384 on Linux platform 1.4.0 and later).
var ladders = []ladder{
	{256, 512, 2048, 0}, // 512, 1024 and 2048
	{512, 1024, 4096, 1024},
	{1024, 2048, 8192, 1024},
	{2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024},
	{8192, 16384, 61440, 4096},
	{16384, 32768, 122880, 8192},
}

// Sizes are all sizes, by CPU and then by memory.
func Sizes() []model.Size {
	var all []model.Size
	for _, l := range ladders {
		for memory := l.from; memory <= l.to; memory = l.next(memory) {
			all = append(all, model.Size{CPU: l.cpu, Memory: memory})
		}
	}
	return all
}

// next is the memory after this one; the smallest CPU doubles.
func (l ladder) next(memory int) int {
	if l.step == 0 {
		return 2 * memory
	}
	return memory + l.step
}

// ValidSize says whether Fargate has a size.
func ValidSize(cpu, memory int) bool {
	return slices.Contains(Sizes(), model.Size{CPU: cpu, Memory: memory})
}

// Next is the next larger memory up to a limit, in MiB, with more CPU only where it must be.
func Next(from model.Size, upTo int) (model.Size, bool) {
	sizes := Sizes() // by CPU: the first that is larger has the fewest CPU units
	i := slices.IndexFunc(sizes, func(s model.Size) bool { return s.CPU >= from.CPU && s.Memory > from.Memory && s.Memory <= upTo })
	if i < 0 {
		return model.Size{}, false
	}
	return sizes[i], true
}
