package cron_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/winebarrel/cronplan"
	"modeldispatch/internal/cron"
	"pgregory.net/rapid"
)

// drawn is a random part of a cron() expression. Its matches function reports whether the wall clock
// matches the part. The function does not use the parser.
type drawn struct {
	text    string
	matches func(wall time.Time) bool
}

// drawField draws a list of values, ranges and steps. The function of returns the value of the wall clock
// that the field restricts.
func drawField(low, high int, of func(time.Time) int) *rapid.Generator[drawn] {
	part := rapid.Custom(func(t *rapid.T) drawn {
		a, b := rapid.IntRange(low, high).Draw(t, "a"), rapid.IntRange(low, high).Draw(t, "b")
		step := rapid.IntRange(1, high-low+1).Draw(t, "step")
		return rapid.SampledFrom([]drawn{
			{"*", func(time.Time) bool { return true }},
			{fmt.Sprint(a), func(w time.Time) bool { return of(w) == a }},
			{fmt.Sprintf("%d-%d", a, b), func(w time.Time) bool {
				if a <= b {
					return a <= of(w) && of(w) <= b
				}
				return of(w) >= a || of(w) <= b
			}},
			{fmt.Sprintf("%d/%d", a, step), func(w time.Time) bool { return of(w) >= a && (of(w)-a)%step == 0 }},
			{fmt.Sprintf("*/%d", step), func(w time.Time) bool { return (of(w)-low)%step == 0 }},
		}).Draw(t, "part")
	})
	return rapid.Custom(func(t *rapid.T) drawn {
		parts := rapid.SliceOfN(part, 1, 3).Draw(t, "parts")
		var texts []string
		for _, p := range parts {
			texts = append(texts, p.text)
		}
		return drawn{strings.Join(texts, ","), func(w time.Time) bool {
			for _, p := range parts {
				if p.matches(w) {
					return true
				}
			}
			return false
		}}
	})
}

// sameMonth reports whether the day that is this many days later is in the same month.
func sameMonth(w time.Time, days int) bool { return w.AddDate(0, 0, days).Month() == w.Month() }

// drawDays draws the two day fields; one of them is `?`.
func drawDays() *rapid.Generator[[2]drawn] {
	any := drawn{"?", func(time.Time) bool { return true }}
	return rapid.Custom(func(t *rapid.T) [2]drawn {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		nth := rapid.IntRange(1, 5).Draw(t, "nth")
		weekday := rapid.IntRange(0, 6).Draw(t, "weekday")
		ofMonth := drawField(1, 31, time.Time.Day).Draw(t, "dom")
		return rapid.SampledFrom([][2]drawn{
			{ofMonth, any},
			{{"L", func(w time.Time) bool { return !sameMonth(w, 1) }}, any},
			{{fmt.Sprintf("L-%d", n), func(w time.Time) bool { return sameMonth(w, n) && !sameMonth(w, n+1) }}, any},
			{any, {fmt.Sprintf("%d", weekday+1), func(w time.Time) bool { return int(w.Weekday()) == weekday }}},
			{any, {fmt.Sprintf("%dL", weekday+1), func(w time.Time) bool { return int(w.Weekday()) == weekday && !sameMonth(w, 7) }}},
			{any, {fmt.Sprintf("%d#%d", weekday+1, nth), func(w time.Time) bool {
				return int(w.Weekday()) == weekday && sameMonth(w, -7*(nth-1)) && !sameMonth(w, -7*nth)
			}}},
		}).Draw(t, "days")
	})
}

// drawCron draws a cron() expression.
func drawCron() *rapid.Generator[drawn] {
	return rapid.Custom(func(t *rapid.T) drawn {
		days := drawDays().Draw(t, "days")
		fields := []drawn{
			drawField(0, 59, time.Time.Minute).Draw(t, "minutes"),
			drawField(0, 23, time.Time.Hour).Draw(t, "hours"),
			days[0],
			drawField(1, 12, func(w time.Time) int { return int(w.Month()) }).Draw(t, "months"),
			days[1],
			{"*", func(time.Time) bool { return true }},
		}
		var texts []string
		for _, f := range fields {
			texts = append(texts, f.text)
		}
		return drawn{"cron(" + strings.Join(texts, " ") + ")", func(w time.Time) bool {
			for _, f := range fields {
				if !f.matches(w) {
					return false
				}
			}
			return true
		}}
	})
}

// zones lists time zones with different clock changes.
var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe",
	"Asia/Kolkata", "Africa/Cairo", "America/Havana", "Africa/Casablanca", "Pacific/Apia", "America/St_Johns"}

// isRepeated reports whether the zone's clock already showed this time in the two hours before.
func isRepeated(t time.Time) bool {
	for back := 30 * time.Minute; back <= 2*time.Hour; back += 30 * time.Minute {
		if b := t.Add(-back); b.Hour() == t.Hour() && b.Minute() == t.Minute() {
			return true
		}
	}
	return false
}

// TestNextReturnsEveryMatchingMinute compares Next with the fields for each minute of 30 hours: Next
// returns all minutes that match, and no others.
func TestNextReturnsEveryMatchingMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(r, "zone"))
		c := drawCron().Draw(r, "cron")
		from := drawTime(z).Draw(r, "from")
		s := mustParse(t, c.text, z)
		next := s.Next(from.Add(-time.Nanosecond))
		for now := from; now.Before(from.Add(30 * time.Hour)); now = now.Add(time.Minute) {
			want := c.matches(now) && !isRepeated(now)
			if want != next.Equal(now) {
				r.Fatalf("%s in %s: at %s it matches: %t; Next returns %s", c.text, z, now, want, next)
			}
			if want {
				next = s.Next(now)
			}
		}
	})
}

// drawTime draws a full minute, mostly within a day of a clock change.
func drawTime(z *time.Location) *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		when := time.Unix(rapid.Int64Range(2e8, 4e9).Draw(t, "unix")/60*60, 0).In(z)
		_, change := when.ZoneBounds()
		if change.IsZero() || rapid.IntRange(0, 3).Draw(t, "far") == 0 {
			return when
		}
		return change.Add(-time.Duration(rapid.IntRange(0, 26*60).Draw(t, "minutes before")) * time.Minute)
	})
}

// TestNextIsStrictlyIncreasingAndMatchesTheFields checks up to 50 consecutive fire times.
func TestNextIsStrictlyIncreasingAndMatchesTheFields(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(r, "zone"))
		c := drawCron().Draw(r, "cron")
		s := mustParse(t, c.text, z)
		now := drawTime(z).Draw(r, "from")
		for range 50 {
			next := s.Next(now)
			if next.IsZero() {
				return
			}
			if !next.After(now) || !c.matches(next) || next.Location() != z || next.Second() != 0 {
				r.Fatalf("%s in %s: Next(%s) = %s", c.text, z, now, next)
			}
			now = next
		}
	})
}

// TestAgreesWithCronplan compares the fire times in UTC with those of the library cronplan. The test uses
// cronplan for UTC only, because in other zones it skips whole days with clock changes. It also panics
// on 29-31 in February.
func TestAgreesWithCronplan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := drawCron().Draw(r, "cron")
		fields := strings.TrimSuffix(strings.TrimPrefix(c.text, "cron("), ")")
		if strings.Contains(strings.Fields(fields)[2], "-") {
			r.Skip("cronplan panics on a range of days that begins after the month's end")
		}
		theirs, err := cronplan.Parse(fields)
		if err != nil {
			r.Fatal(err)
		}
		s := mustParse(t, c.text, nil)
		now := drawTime(time.UTC).Draw(r, "from")
		for range 10 {
			got, want := s.Next(now), theirs.Next(now.Add(time.Minute))
			if !got.Equal(want) {
				r.Fatalf("%s: Next(%s) = %s; cronplan returns %s", c.text, now, got, want)
			}
			if now = got; now.IsZero() {
				return
			}
		}
	})
}

func TestRateFiresAtEqualIntervals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.Int64Range(1, 10000).Draw(r, "n")
		anchor := time.Unix(rapid.Int64Range(0, 4e9).Draw(r, "anchor"), 5)
		s := mustParse(t, fmt.Sprintf("rate(%d minutes)", n), nil).Anchored(anchor)
		after := time.Unix(rapid.Int64Range(0, 4e9).Draw(r, "after"), rapid.Int64Range(0, 9).Draw(r, "ns"))
		next := s.Next(after)
		step := time.Duration(n) * time.Minute
		if !next.After(after) || next.Before(anchor) || next.Sub(anchor)%step != 0 {
			r.Fatalf("rate(%d minutes) from %s: Next(%s) = %s", n, anchor, after, next)
		}
		if !next.Equal(anchor) && next.Sub(after) > step {
			r.Fatalf("rate(%d minutes) from %s: Next(%s) = %s, which skips a fire time", n, anchor, after, next)
		}
	})
}

// FuzzParse checks that Parse returns a schedule or an error for any text. It also checks that the first
// ten fire times increase.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"cron(0 6 ? * MON *)", "cron(0 6 * * 1)", "cron(0/15 8-18 ? * MON-FRI 2026-2030)", "cron(0 0 30 2 ? *)",
		"cron(0 0 LW * ? *)", "cron(0 0 L-3 * ? *)", "cron(0 0 31W 2 ? *)", "cron(0 0 ? * 6L *)", "cron(0 0 ? * 3#5 2199)",
		"cron(0 0 29-31 2 ? *)", "rate(5 minutes)", "rate(1 days)", "rate(9223372036854775807 minutes)",
		"at(2026-11-24T06:00:00)", "at(2026-11-24T06:00:00Z)", "0 6 * * 1", "*/7 * 1 * 5-7", "@daily", "@every 1h", "cron(((", "",
	} {
		f.Add(seed)
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, expression string) {
		s, err := cron.Parse(expression, berlin)
		if err != nil {
			if err.Error() == "" {
				t.Error("the error has no text")
			}
			return
		}
		now := time.Unix(1_800_000_000, 0)
		for range 10 {
			next := s.Next(now)
			if next.IsZero() {
				return
			}
			if !next.After(now) {
				t.Fatalf("%q: Next(%s) = %s", expression, now, next)
			}
			now = next
		}
	})
}
