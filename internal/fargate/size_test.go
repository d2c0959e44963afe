package fargate_test

import (
	"testing"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
)

func TestValidSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cpu, memory int
		want        bool
	}{
		{256, 512, true}, {256, 2048, true}, {256, 1536, false}, {256, 4096, false},
		{512, 4096, true}, {512, 512, false}, {1024, 8192, true}, {4096, 30720, true}, {4096, 31744, false},
		{8192, 16384, true}, {8192, 18432, false}, {16384, 122880, true}, {16384, 131072, false}, {300, 512, false},
	}
	for _, test := range tests {
		if got := fargate.ValidSize(test.cpu, test.memory); got != test.want {
			t.Errorf("ValidSize(%d, %d) = %t, want %t", test.cpu, test.memory, got, test.want)
		}
	}
	if n := len(fargate.Sizes()); n != 74 {
		t.Errorf("there are %d sizes, want 74", n)
	}
}

// TestNextSize increases a size step by step up to the limit. The CPU units increase only if no size with more
// memory has the same number of them.
func TestNextSize(t *testing.T) {
	t.Parallel()
	size := model.Size{CPU: 256, Memory: 1024}
	want := []model.Size{
		{CPU: 256, Memory: 2048}, {CPU: 512, Memory: 3072}, {CPU: 512, Memory: 4096},
		{CPU: 1024, Memory: 5120}, {CPU: 1024, Memory: 6144},
	}
	for _, next := range want {
		got, ok := fargate.NextSize(size, 6144)
		if !ok || got != next {
			t.Fatalf("NextSize(%d, %d) = %v, %t, want %v", size.CPU, size.Memory, got, ok, next)
		}
		size = got
	}
	if got, ok := fargate.NextSize(size, 6144); ok {
		t.Errorf("NextSize returns %v, which is above the limit", got)
	}
}
