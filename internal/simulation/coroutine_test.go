package simulation

import (
	"iter"
	"sync"
)

// coroutine runs the work of one actor after another. They are kept for later worlds: the race
// detector never gives back what it keeps of one, and each world has thousands of actors.
type coroutine struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool // gives way, within the work
	work  func()
	idle  bool // the work is done
}

var (
	idleMutex sync.Mutex
	idle      []*coroutine
)

// takeCoroutine gives a coroutine that begins the work when it is resumed for the first time.
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

// resume lets the work go on until it gives way, and says whether it is done.
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
