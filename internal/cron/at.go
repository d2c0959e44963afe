package cron

import (
	"fmt"
	"strings"
	"time"
)

// atLayout is the only layout that at() accepts: without a fraction of a second and without a zone.
const atLayout = "2006-01-02T15:04:05"

// moment is the rule of at(). It fires once.
type moment struct{ at time.Time }

// parseMoment reads the argument of at().
func parseMoment(arguments string, zone *time.Location) (rule, error) {
	wall, err := time.Parse(atLayout, arguments)
	if err != nil || len(arguments) != len(atLayout) {
		return nil, fmt.Errorf("time %q: at() takes yyyy-mm-ddThh:mm:ss%s", arguments, atHint(arguments))
	}
	t, exists := onWallClock(wall, zone)
	if !exists {
		return nil, fmt.Errorf("time %q does not exist in %s: the clocks skip it when they go forward", arguments, zone)
	}
	return moment{at: t}, nil
}

// atHint returns the end of an error about a time. It corrects the usual mistakes: a zone, or the layout
// of another timestamp.
func atHint(text string) string {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return fmt.Sprintf(" without a zone: write at(%s), and put the zone in `timezone`", t.Format(atLayout))
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return fmt.Sprintf(": write at(%s)", t.Format(atLayout))
		}
	}
	return ", such as at(2026-11-24T06:00:00)"
}

func (m moment) next(after time.Time) time.Time {
	if m.at.After(after) {
		return m.at
	}
	return time.Time{}
}
