package scheduler

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// firing is one entry at one of its times.
type firing struct {
	entry     Entry
	scheduled time.Time
}

// plan holds the next firing of each entry. All times up to after are settled, whichever entries
// were set then. So a change of entries neither repeats nor skips a time.
type plan struct {
	after time.Time
	next  []firing // the next firing of each entry that has a next time
}

// set replaces the entries. Their times count from p.after on.
func (p *plan) set(ctx context.Context, entries []Entry) {
	p.next = nil
	for _, e := range entries {
		p.add(ctx, e, p.after)
	}
}

// add plans the first firing of an entry after the given time.
func (p *plan) add(ctx context.Context, e Entry, after time.Time) {
	next := e.Next(after)
	switch {
	case next.IsZero():
	case !next.After(after): // would fire without end
		log := zerolog.Ctx(ctx).Error().Str("schedule", e.Name).Time("after", after).Time("next", next)
		log.Msg("schedule dropped: its next time does not advance")
	default:
		p.next = append(p.next, firing{e, next})
	}
}

// due removes the firings that are due by now, plans the next firing of each such entry, and returns
// those to deliver. It logs and skips a firing that is later than precision.
func (p *plan) due(ctx context.Context, now time.Time) []firing {
	var fire []firing
	for i := 0; i < len(p.next); {
		f := p.next[i]
		if f.scheduled.After(now) {
			i++
			continue
		}
		p.next = append(p.next[:i], p.next[i+1:]...)
		if late := now.Sub(f.scheduled); late > precision {
			log := zerolog.Ctx(ctx).Warn().Str("schedule", f.entry.Name).Time("scheduled", f.scheduled).Dur("late", late)
			log.Msg("schedule missed")
			// Skip all missed times in one step: a week can hold 10,080 of them.
			p.add(ctx, f.entry, now.Add(-precision-time.Nanosecond))
			continue
		}
		fire = append(fire, f)
		p.add(ctx, f.entry, f.scheduled)
	}
	if now.After(p.after) { // a clock that is set back must not repeat times
		p.after = now
	}
	return fire
}

// earliest returns the time of the next firing, or the zero time if there is none.
func (p *plan) earliest() time.Time {
	var earliest time.Time
	for _, f := range p.next {
		if earliest.IsZero() || f.scheduled.Before(earliest) {
			earliest = f.scheduled
		}
	}
	return earliest
}
