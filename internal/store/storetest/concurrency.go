package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"modeldispatch/internal/store"
)

// Add adds amounts to the numbers that documents hold, in one commit. After a conflict it starts again from the read.
// Callers of a store change documents in the same way.
func Add(ctx context.Context, s store.Store, amounts map[store.Key]int) error {
	for {
		var writes []store.Write
		for key, amount := range amounts {
			d, err := s.Get(ctx, key)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(d.Body))
			if err != nil {
				return err
			}
			d.Body = json.RawMessage(strconv.Itoa(n + amount))
			writes = append(writes, store.Update(d))
		}
		if err := s.Commit(ctx, writes...); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// together runs f in n goroutines at once. Each error fails the test.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var running sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		running.Go(func() {
			<-start
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	running.Wait()
}

func number(t *testing.T, s store.Store, key store.Key) int {
	t.Helper()
	n, err := strconv.Atoi(string(get(t, s, key).Body))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func increments(t *testing.T, s store.Store) {
	const workers, each = 8, 12
	counter := store.Key{PK: "counter", SK: "-"}
	commit(t, s, store.Create(store.Doc{Key: counter, Body: json.RawMessage(`0`)}))
	together(t, workers, func(int) error {
		for range each {
			if err := Add(t.Context(), s, map[store.Key]int{counter: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if got := number(t, s, counter); got != workers*each {
		t.Errorf("the counter is %d after %d increments", got, workers*each)
	}
	if got := get(t, s, counter).Version; got != workers*each+1 {
		t.Errorf("the version is %d after a create and %d increments", got, workers*each)
	}
}

func transfers(t *testing.T, s store.Store) {
	const accounts, workers, each, start = 5, 6, 10, 1000
	var keys []store.Key
	for i := range accounts {
		keys = append(keys, store.Key{PK: fmt.Sprintf("account/%d", i), SK: "-"})
		commit(t, s, store.Create(store.Doc{Key: keys[i], Body: json.RawMessage(strconv.Itoa(start))}))
	}
	together(t, workers, func(worker int) error {
		for i := range each {
			from, to := keys[(worker+i)%accounts], keys[(worker+i+1+worker%3)%accounts]
			if err := Add(t.Context(), s, map[store.Key]int{from: -(i + 1), to: i + 1}); err != nil {
				return err
			}
		}
		return nil
	})
	sum, commits := 0, int64(0)
	for _, key := range keys {
		sum += number(t, s, key)
		commits += get(t, s, key).Version - 1
	}
	if sum != accounts*start || commits != 2*workers*each {
		t.Errorf("after %d transfers %d accounts hold %d after %d updates, want %d after %d",
			workers*each, accounts, sum, commits, accounts*start, 2*workers*each)
	}
}

func concurrentCreates(t *testing.T, s store.Store) {
	var won atomic.Int32
	together(t, 12, func(i int) error {
		event, run := doc("event/1", "-", strconv.Itoa(i)), doc(fmt.Sprintf("run/%d", i), "run", `{}`)
		err := s.Commit(t.Context(), store.Create(event), store.Create(run))
		switch {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		return nil
	})
	if got := won.Load(); got != 1 {
		t.Fatalf("%d of 12 commits created the same document, want 1", got)
	}
	winner := string(get(t, s, store.Key{PK: "event/1", SK: "-"}).Body)
	for i := range 12 {
		key := store.Key{PK: fmt.Sprintf("run/%d", i), SK: "run"}
		if strconv.Itoa(i) == winner {
			get(t, s, key)
		} else {
			absent(t, s, key)
		}
	}
}
