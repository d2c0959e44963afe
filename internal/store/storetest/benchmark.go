package storetest

import (
	"fmt"
	"testing"
	"time"

	"modeldispatch/internal/store"
)

// Benchmark measures what a run costs its store, on an empty store: it is accepted (three
// documents in one commit), read and moved; and what the sweep and a list cost beside 1,000 others.
func Benchmark(b *testing.B, s store.Store) {
	ctx := b.Context()
	body := fmt.Sprintf(`{"policy":%q}`, make([]byte, 500))
	accept := func(b *testing.B, i int) store.Key {
		run := listed(fmt.Sprintf("run/%s/%d", b.Name(), i), store.Index{Kind: "run", Model: "sales", Time: noon().Add(time.Duration(i) * time.Second)})
		run.Body, run.Due = []byte(body), run.Index.Time
		if err := s.Commit(ctx, store.Create(run), store.Create(doc(run.PK, "spec", body)), store.Create(doc("event/"+run.PK, "-", body))); err != nil {
			b.Fatal(err)
		}
		return run.Key
	}
	for i := range 1000 {
		accept(b, i)
	}
	b.Run("accept and move", func(b *testing.B) {
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
