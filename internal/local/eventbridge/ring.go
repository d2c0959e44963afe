package eventbridge

import (
	"encoding/json"
	"sync"
)

// ring holds the last events, numbered from 0, for watchers that read at their own speed.
type ring struct {
	mu     sync.Mutex
	events []json.RawMessage // event n is at index n % len(events)
	next   int               // the number of the next event
	added  chan struct{}     // closed when the next event is added
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

// from returns event n, or the oldest event if n has been overwritten, and the number of the event
// after that. If event n is still to come, from returns a channel that is closed when it is added.
func (r *ring) from(n int) (event json.RawMessage, following int, wait <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = max(n, r.next-len(r.events))
	if n >= r.next {
		return nil, n, r.added
	}
	return r.events[n%len(r.events)], n + 1, nil
}

// subscribe starts a goroutine that calls f with each event until cancel is called.
func (r *ring) subscribe(f func(json.RawMessage)) (cancel func()) {
	cancelled := make(chan struct{})
	go func() {
		for n := 0; ; {
			event, following, wait := r.from(n)
			select {
			case <-cancelled:
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
			case <-cancelled:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(cancelled) })
}
