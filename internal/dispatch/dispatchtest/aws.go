package dispatchtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
)

// AWS holds everything that the dispatcher uses besides its store.
type AWS struct {
	ECS           *ECS
	Queued        []string                // the ids of the runs on the launch queue, oldest first
	Woken         map[string]time.Time    // when a wake message is delivered, by run id
	Objects       map[string][]byte       // the contents of the objects, by URI
	Announcements []dispatch.Announcement // oldest first
	// Fail decides whether a call of Enqueue, Wake, Stat, Put, Get or Announce fails: its error becomes the error of the
	// call. It receives the method's name, for example Stat. Nil means that no call fails.
	Fail func(call string) error

	now      func() time.Time
	modified map[string]time.Time // the time of the last Put, by URI
}

// New returns an AWS without tasks, messages and objects, whose time is now.
func New(now func() time.Time) *AWS {
	return &AWS{
		ECS:   &ECS{Now: now, tasks: map[string]*event.Task{}, tokens: map[string]*token{}},
		Woken: map[string]time.Time{}, Objects: map[string][]byte{}, now: now, modified: map[string]time.Time{},
	}
}

// fails returns the error that Fail wants for a call.
func (a *AWS) fails(call string) error {
	if a.Fail == nil {
		return nil
	}
	return a.Fail(call)
}

// Enqueue implements dispatch.Queue. It ignores the delay.
func (a *AWS) Enqueue(_ context.Context, run string, _ time.Duration) error {
	if err := a.fails("Enqueue"); err != nil {
		return err
	}
	a.Queued = append(a.Queued, run)
	return nil
}

// Wake implements dispatch.Queue.
func (a *AWS) Wake(_ context.Context, run string, delay time.Duration) error {
	if err := a.fails("Wake"); err != nil {
		return err
	}
	a.Woken[run] = a.now().Add(delay)
	return nil
}

// TakeQueued empties the launch queue, and returns the run ids that were in it.
func (a *AWS) TakeQueued() []string {
	taken := a.Queued
	a.Queued = nil
	return taken
}

// Stat implements dispatch.Objects.
func (a *AWS) Stat(_ context.Context, uri string) (time.Time, bool, error) {
	_, exists := a.Objects[uri]
	return a.modified[uri], exists, a.fails("Stat")
}

// Put implements dispatch.Objects.
func (a *AWS) Put(_ context.Context, uri string, body []byte) error {
	if err := a.fails("Put"); err != nil {
		return err
	}
	a.Objects[uri], a.modified[uri] = slices.Clone(body), a.now()
	return nil
}

// Get implements dispatch.Objects.
func (a *AWS) Get(_ context.Context, uri string) ([]byte, error) {
	body, exists := a.Objects[uri]
	if !exists {
		return nil, fmt.Errorf("reading %s: NoSuchKey", uri)
	}
	return slices.Clone(body), a.fails("Get")
}

// Announce implements dispatch.Bus.
func (a *AWS) Announce(_ context.Context, announcement dispatch.Announcement) error {
	if err := a.fails("Announce"); err != nil {
		return err
	}
	a.Announcements = append(a.Announcements, announcement)
	return nil
}

// Announced returns the number of announcements of each detail type.
func (a *AWS) Announced() map[string]int {
	counts := map[string]int{}
	for _, announcement := range a.Announcements {
		counts[announcement.DetailType]++
	}
	return counts
}

// ObjectURIs returns the URIs of all objects, sorted.
func (a *AWS) ObjectURIs() []string { return slices.Sorted(maps.Keys(a.Objects)) }
