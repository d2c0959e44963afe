package scheduler

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// firing is one time of one entry.
type firing struct {
	entry     Entry
	scheduled time.Time
}

// plan is what comes next. Everything up to after has been dealt with, whichever entries there
// were: so a change of entries neither repeats nor skips a time.
type plan struct {
	after time.Time
	next  []firing // one for each entry that has a next time
}

func (p *plan) set(ctx context.Context, entries []Entry) {
	p.next = nil
	for _, e := range entries {
		p.add(ctx, e, p.after)
	}
}

func (p *plan) add(ctx context.Context, e Entry, after time.Time) {
	next := e.Next(after)
	switch {
	case next.IsZero():
	case !next.After(after): // would fire for ever
		zerolog.Ctx(ctx).Error().Str("schedule", e.Name).Time("after", after).Time("next", next).Msg("schedule goes backwards")
	default:
		p.next = append(p.next, firing{e, next})
	}
}

// due takes out what is due by now, and plans each such entry's next time.
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
			zerolog.Ctx(ctx).Warn().Str("schedule", f.entry.Name).Time("scheduled", f.scheduled).Dur("late", late).Msg("schedule missed")
			// Past whatever else was missed: a week of minutes is not gone through one by one.
			p.add(ctx, f.entry, now.Add(-precision-time.Nanosecond))
			continue
		}
		fire = append(fire, f)
		p.add(ctx, f.entry, f.scheduled)
	}
	if now.After(p.after) { // a clock that was set back repeats nothing
		p.after = now
	}
	return fire
}

func (p *plan) earliest() time.Time {
	var least time.Time
	for _, f := range p.next {
		if least.IsZero() || f.scheduled.Before(least) {
			least = f.scheduled
		}
	}
	return least
}
