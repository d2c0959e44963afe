package fakeaws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
)

// AWS is everything that the dispatcher touches besides its store.
type AWS struct {
	ECS           *ECS
	Queued        []string                // runs on the launch queue
	Woken         map[string]time.Time    // runs on the wake queue, and when they are due
	Objects       map[string][]byte       // by URI
	Announcements []dispatch.Announcement // in the order in which they came
	// Fail, when set, is asked before each call; its error is the call's.
	Fail func(call string) error

	now      func() time.Time
	modified map[string]time.Time // by URI
}

// New makes an AWS in which nothing has happened yet.
func New(now func() time.Time) *AWS {
	return &AWS{
		ECS:   &ECS{Now: now, tasks: map[string]*event.Task{}, tokens: map[string]*token{}},
		Woken: map[string]time.Time{}, Objects: map[string][]byte{}, now: now, modified: map[string]time.Time{},
	}
}

func (a *AWS) fails(call string) error {
	if a.Fail == nil {
		return nil
	}
	return a.Fail(call)
}

// Enqueue implements dispatch.Queue.
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

// Take empties the launch queue.
func (a *AWS) Take() []string {
	taken := a.Queued
	a.Queued = nil
	return taken
}

// Find implements dispatch.Objects.
func (a *AWS) Find(_ context.Context, uri string) (time.Time, bool, error) {
	_, there := a.Objects[uri]
	return a.modified[uri], there, a.fails("Find")
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
	body, there := a.Objects[uri]
	if !there {
		return nil, fmt.Errorf("reading %s: NoSuchKey", uri)
	}
	return slices.Clone(body), a.fails("Get")
}

// Announce implements dispatch.Bus.
func (a *AWS) Announce(_ context.Context, one dispatch.Announcement) error {
	if err := a.fails("Announce"); err != nil {
		return err
	}
	a.Announcements = append(a.Announcements, one)
	return nil
}

// Announced are the detail types that were announced, and how often.
func (a *AWS) Announced() map[string]int {
	all := map[string]int{}
	for _, one := range a.Announcements {
		all[one.DetailType]++
	}
	return all
}

// Keys are the URIs of all objects, sorted.
func (a *AWS) Keys() []string { return slices.Sorted(maps.Keys(a.Objects)) }
