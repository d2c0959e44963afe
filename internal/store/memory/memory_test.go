package memory_test

import (
	"testing"

	"modeldispatch/internal/store"
	"modeldispatch/internal/store/memory"
	"modeldispatch/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, memory.New()) }
