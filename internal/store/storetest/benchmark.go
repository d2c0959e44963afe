package storetest

import (
	"fmt"
	"testing"
	"time"

	"modeldispatch/internal/store"
)

// Benchmark measures the time of a store's calls. It fills the empty store s with 1,000 runs. Then it accepts a run
// (three documents in one commit), reads it and updates it; reads due documents as the sweep does; and lists a page of
// runs.
func Benchmark(b *testing.B, s store.Store) {
	ctx := b.Context()
	body := fmt.Sprintf(`{"policy":%q}`, make([]byte, 500))
	accept := func(b *testing.B, i int) store.Key {
		accepted := noon().Add(time.Duration(i) * time.Second)
		run := listed(fmt.Sprintf("run/%s/%d", b.Name(), i), "run", store.Index{Model: "sales", Time: accepted})
		run.Body, run.Due = []byte(body), accepted
		spec, event := doc(run.PK, "spec", body), doc("event/"+run.PK, "-", body)
		if err := s.Commit(ctx, store.Create(run), store.Create(spec), store.Create(event)); err != nil {
			b.Fatal(err)
		}
		return run.Key
	}
	for i := range 1000 {
		accept(b, i)
	}
	b.Run("accept and update", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			d, err := s.Get(ctx, accept(b, i))
			if err != nil {
				b.Fatal(err)
			}
			d.Due = time.Time{}
			if err := s.Commit(ctx, store.Update(d)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("due", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := s.Due(ctx, i%store.Shards, noon().Add(time.Hour), 100); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.List(ctx, store.Query{Kind: "run", Model: "sales", Limit: 50}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
