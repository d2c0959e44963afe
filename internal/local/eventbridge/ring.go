package eventbridge

import (
	"encoding/json"
	"sync"
)

// ring keeps the last events, numbered from 0, for watchers that read at their own pace.
type ring struct {
	mu     sync.Mutex
	events []json.RawMessage // event n is at n % len
	next   int               // number of the next event
	added  chan struct{}     // closed at the next event
}

func newRing(size int) *ring {
	return &ring{events: make([]json.RawMessage, size), added: make(chan struct{})}
}

func (r *ring) add(event json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[r.next%len(r.events)] = event
	r.next++
	close(r.added)
	r.added = make(chan struct{})
}

// from returns the event of this number or, if it is gone, the oldest, with the number that follows. If
// there is none yet, it returns a channel that tells of it.
func (r *ring) from(n int) (event json.RawMessage, following int, wait <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = max(n, r.next-len(r.events))
	if n >= r.next {
		return nil, n, r.added
	}
	return r.events[n%len(r.events)], n + 1, nil
}

func (r *ring) subscribe(f func(json.RawMessage)) (cancel func()) {
	gone := make(chan struct{})
	go func() {
		for n := 0; ; {
			event, following, wait := r.from(n)
			select {
			case <-gone:
				return
			default:
			}
			if wait == nil {
				f(event)
				n = following
				continue
			}
			select {
			case <-wait:
			case <-gone:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(gone) })
}
