package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"modeldispatch/internal/limiter"
	"modeldispatch/internal/records"
	"modeldispatch/internal/store"
)

// pageSize is the number of due documents of a shard that a sweep processes at a time.
const pageSize = 100

// sweepReserve is the time before the deadline at which a sweep stops. It leaves the other documents to the next sweep.
const sweepReserve = 10 * time.Second

// Sweep does the work that is due in the whole deployment: it processes every due document and checks the
// expectations. The error of one document does not delay the others. Sweep joins all errors and returns them at its
// end.
func (d *Dispatcher) Sweep(ctx context.Context) error {
	shards := make([]error, store.Shards)
	d.o.ForEach(store.Shards, func(shard int) { shards[shard] = d.sweeper.shard(ctx, shard) })
	failed := append(shards, d.expectations.check(ctx))
	err := errors.Join(failed...)
	if err == nil && d.o.Hooks.Swept != nil {
		d.o.Hooks.Swept()
	}
	return err
}

// sweeper processes due documents.
type sweeper struct {
	*Options
	outbox  *outbox
	limiter *limiter.Limiter
	advance func(ctx context.Context, runs ...store.Key) []error
}

// shard processes the due documents of a shard, page by page. It processes each document once: a document that
// fails stays due, and the next page contains it again.
func (s sweeper) shard(ctx context.Context, shard int) error {
	var failed []error
	seen := map[store.Key]bool{}
	for limit := pageSize; ; limit = len(seen) + pageSize {
		if end, limited := ctx.Deadline(); limited && time.Until(end) < sweepReserve {
			if len(seen) == 0 {
				return fmt.Errorf("shard %d: the sweep had no time left to start it", shard)
			}
			log(ctx).Warn().Int("shard", shard).Int("documents", len(seen)).Msg("sweep out of time, the rest is left to the next one")
			return errors.Join(failed...)
		}
		docs, err := s.Store.Due(ctx, shard, s.Now(), limit)
		if err != nil {
			return errors.Join(append(failed, fmt.Errorf("listing the due documents of shard %d: %w", shard, err))...)
		}
		fresh := slices.DeleteFunc(slices.Clone(docs), func(doc store.DueDoc) bool { return seen[doc.Key] })
		failed = append(failed, s.page(ctx, fresh)...)
		for _, doc := range fresh {
			seen[doc.Key] = true
		}
		if len(docs) < limit || len(fresh) == 0 {
			return errors.Join(failed...)
		}
	}
}

// page does the work that is due for some documents, and returns their errors. A document that no longer exists
// is no error.
func (s sweeper) page(ctx context.Context, docs []store.DueDoc) []error {
	var failed []error
	var runs []store.Key
	for _, doc := range docs {
		switch doc.Kind {
		case records.KindRun:
			runs = append(runs, doc.Key)
		case records.KindLimiter:
			failed = append(failed, s.limiter.Probe(ctx))
		default:
			failed = append(failed, s.carryOutDue(ctx, doc.Key))
		}
	}
	failed = append(failed, s.advance(ctx, runs...)...)
	return slices.DeleteFunc(failed, func(err error) bool { return errors.Is(err, store.ErrNotFound) })
}

// carryOutDue carries out the overdue effects of a document that is not a run.
func (s sweeper) carryOutDue(ctx context.Context, key store.Key) error {
	doc, err := s.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	outbox, err := records.OutboxOf(doc)
	if err != nil {
		return err
	}
	s.outbox.carryOut(ctx, owner{key: key}, outbox.Due(s.Now()))
	return nil
}
