package simulation

import (
	"iter"
	"sync"
)

// coroutine runs the work of one actor after another. Later worlds use idle coroutines again, because the race detector
// never frees its memory of a coroutine, and each world has thousands of actors.
type coroutine struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool // called by the work, to give way
	work  func()
	idle  bool // the work is done
}

var (
	idleMutex sync.Mutex
	idle      []*coroutine
)

// takeCoroutine returns a coroutine that begins the work when it is resumed for the first time.
func takeCoroutine(work func()) *coroutine {
	idleMutex.Lock()
	defer idleMutex.Unlock()
	c := &coroutine{}
	if last := len(idle) - 1; last >= 0 {
		c, idle = idle[last], idle[:last]
	} else {
		c.next, _ = iter.Pull(func(yield func(struct{}) bool) {
			for c.yield = yield; ; yield(struct{}{}) {
				c.work()
				c.idle = true
			}
		})
	}
	c.work, c.idle = work, false
	return c
}

// resume continues the work until it gives way. It reports whether the work is done.
func (c *coroutine) resume() (done bool) {
	c.next()
	if !c.idle {
		return false
	}
	idleMutex.Lock()
	defer idleMutex.Unlock()
	idle = append(idle, c)
	return true
}
