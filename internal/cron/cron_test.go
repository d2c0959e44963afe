package cron_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"modeldispatch/internal/cron"
)

// zone loads a time zone.
func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func mustParse(t testing.TB, expression string, z *time.Location) cron.Schedule {
	t.Helper()
	s, err := cron.Parse(expression, z)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at parses a time in RFC 3339 form.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fireTimes returns the first n fire times after a time. The last entry is "never" if there are fewer.
func fireTimes(s cron.Schedule, after time.Time, n int) []string {
	times := []string{}
	for range n {
		after = s.Next(after)
		if after.IsZero() {
			return append(times, "never")
		}
		times = append(times, after.Format(time.RFC3339))
	}
	return times
}

const sunday = "2026-11-22T12:00:00Z"

// nextTests lists expressions with their fire times in UTC.
var nextTests = []struct {
	expression, after string
	want              []string
}{
	// lists, ranges and steps
	{"cron(0 6 ? * MON *)", sunday, []string{"2026-11-23T06:00:00Z", "2026-11-30T06:00:00Z"}},
	{"cron(0 6 ? * 2 *)", sunday, []string{"2026-11-23T06:00:00Z", "2026-11-30T06:00:00Z"}},
	{"cron(0 6 ? * 1 *)", sunday, []string{"2026-11-29T06:00:00Z"}},
	{"cron(0 6 ? * MON)", sunday, []string{"2026-11-23T06:00:00Z"}},
	{"cron(0/15 12 * * ? *)", sunday,
		[]string{"2026-11-22T12:15:00Z", "2026-11-22T12:30:00Z", "2026-11-22T12:45:00Z", "2026-11-23T12:00:00Z"}},
	{"cron(50/5 * * * ? *)", sunday, []string{"2026-11-22T12:50:00Z", "2026-11-22T12:55:00Z", "2026-11-22T13:50:00Z"}},
	{"cron(*/20 12-13 * * ? *)", sunday,
		[]string{"2026-11-22T12:20:00Z", "2026-11-22T12:40:00Z", "2026-11-22T13:00:00Z"}},
	{"cron(10-30/10 12 * * ? *)", sunday,
		[]string{"2026-11-22T12:10:00Z", "2026-11-22T12:20:00Z", "2026-11-22T12:30:00Z", "2026-11-23T12:10:00Z"}},
	{"cron(0 22-1 * * ? *)", sunday,
		[]string{"2026-11-22T22:00:00Z", "2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z", "2026-11-23T01:00:00Z",
			"2026-11-23T22:00:00Z"}},
	{"cron(0 6 ? * FRI-MON *)", sunday, []string{"2026-11-23T06:00:00Z", "2026-11-27T06:00:00Z"}},
	{"cron(0 0 1 jan,Jul ? *)", sunday, []string{"2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z"}},
	{"cron(0 0 1 1 ? 2030-2032/2)", sunday, []string{"2030-01-01T00:00:00Z", "2032-01-01T00:00:00Z", "never"}},
	// days of the month
	{"cron(0 0 31 * ? *)", sunday, []string{"2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"}},
	{"cron(0 0 30-31 2-3 ? *)", sunday,
		[]string{"2027-03-30T00:00:00Z", "2027-03-31T00:00:00Z", "2028-03-30T00:00:00Z"}},
	{"cron(0 0 L 2 ? *)", sunday, []string{"2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"}},
	{"cron(0 0 L-3 * ? *)", sunday, []string{"2026-11-27T00:00:00Z", "2026-12-28T00:00:00Z"}},
	{"cron(0 0 LW * ? *)", sunday, []string{"2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-29T00:00:00Z"}},
	{"cron(0 0 1W * ? *)", sunday,
		[]string{"2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z",
			"2027-04-01T00:00:00Z", "2027-05-03T00:00:00Z"}},
	{"cron(0 0 15W 8 ? *)", sunday, []string{"2027-08-16T00:00:00Z", "2028-08-15T00:00:00Z"}},
	{"cron(0 0 31W 1-2 ? *)", sunday, []string{"2027-01-29T00:00:00Z", "2028-01-31T00:00:00Z"}},
	{"cron(0 0 1,L * ? *)", sunday, []string{"2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-31T00:00:00Z"}},
	// days of the week
	{"cron(0 0 ? * 3#2 *)", sunday, []string{"2026-12-08T00:00:00Z", "2027-01-12T00:00:00Z"}},
	{"cron(0 0 ? * TUE#5 *)", sunday, []string{"2026-12-29T00:00:00Z", "2027-03-30T00:00:00Z"}},
	{"cron(0 0 ? * 6L *)", sunday, []string{"2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"}},
	{"cron(0 0 ? * L *)", sunday, []string{"2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"}},
	// the limits of the calendar
	{"cron(0 0 29 2 ? 2097-2103)", sunday, []string{"never"}},
	{"cron(0 0 30 2 ? *)", sunday, []string{"never"}},
	{"cron(59 23 31 12 ? 2199)", sunday, []string{"2199-12-31T23:59:00Z", "never"}},
	{"cron(0 0 1 1 ? 2020)", sunday, []string{"never"}},
	{"cron(0 0 1 1 ? *)", "0001-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z", "1971-01-01T00:00:00Z"}},
	// the result is strictly after the given time
	{"cron(0 12 * * ? *)", sunday, []string{"2026-11-23T12:00:00Z"}},
	{"cron(0 12 * * ? *)", "2026-11-22T11:59:59Z", []string{"2026-11-22T12:00:00Z"}},
	// rate and at
	{"rate(5 minutes)", "2026-11-22T12:02:30Z", []string{"2026-11-22T12:05:00Z", "2026-11-22T12:10:00Z"}},
	{"rate(1 minute)", sunday, []string{"2026-11-22T12:01:00Z"}},
	{"rate(1 hours)", sunday, []string{"2026-11-22T13:00:00Z"}},
	{"rate(1 days)", sunday, []string{"2026-11-23T00:00:00Z"}},
	{"rate(7 days)", "1969-12-31T00:00:00Z", []string{"1970-01-01T00:00:00Z", "1970-01-08T00:00:00Z"}},
	{"at(2026-11-24T06:00:00)", sunday, []string{"2026-11-24T06:00:00Z", "never"}},
	{"at(2026-11-22T12:00:00)", sunday, []string{"never"}},
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range nextTests {
		t.Run(c.expression, func(t *testing.T) {
			t.Parallel()
			s := mustParse(t, c.expression, nil)
			compare(t, fireTimes(s, at(t, c.after), len(c.want)), c.want)
			if s.String() != c.expression {
				t.Errorf("String() = %q, want %q", s, c.expression)
			}
		})
	}
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, " "), strings.Join(want, " "))
	}
}

// TestNextAcrossClockChanges checks that a schedule skips a time that does not exist, and fires at the
// first occurrence of a repeated time.
func TestNextAcrossClockChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, expression, after string
		want                    []string
	}{
		// Berlin: on 2026-03-29 02:00 becomes 03:00; on 2026-10-25 03:00 becomes 02:00
		{"Europe/Berlin", "cron(30 2 * * ? *)", "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"}},
		{"Europe/Berlin", "cron(0 * * * ? *)", "2026-03-29T00:30:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"}},
		{"Europe/Berlin", "cron(0 3 * * ? *)", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"}},
		{"Europe/Berlin", "cron(30 2 * * ? *)", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"Europe/Berlin", "cron(0/30 * * * ? *)", "2026-10-25T02:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00"}},
		{"Europe/Berlin", "cron(45 2 * * ? *)", "2026-10-25T02:30:00+01:00",
			[]string{"2026-10-26T02:45:00+01:00"}},
		{"Europe/Berlin", "cron(30 2 ? 3 1L *)", "2026-01-01T00:00:00Z", []string{"never"}},
		// New York: on 2026-03-08 02:00 becomes 03:00; on 2026-11-01 02:00 becomes 01:00
		{"America/New_York", "cron(15 2 ? * SUN *)", "2026-03-01T12:00:00Z",
			[]string{"2026-03-15T02:15:00-04:00"}},
		{"America/New_York", "cron(15 1 * * ? *)", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:15:00-04:00", "2026-11-02T01:15:00-05:00"}},
		// southern hemisphere: clocks in Sydney go forward on 2026-10-04 and back on 2026-04-05
		{"Australia/Sydney", "cron(30 2 * * ? *)", "2026-10-02T20:00:00Z",
			[]string{"2026-10-05T02:30:00+11:00"}},
		{"Australia/Sydney", "cron(30 2 * * ? *)", "2026-04-04T00:00:00Z",
			[]string{"2026-04-05T02:30:00+11:00", "2026-04-06T02:30:00+10:00"}},
		// half hours: Kolkata never changes its clocks; Lord Howe changes them by 30 minutes
		{"Asia/Kolkata", "cron(0 6 * * ? *)", "2026-11-22T00:30:00Z", []string{"2026-11-23T06:00:00+05:30"}},
		{"Australia/Lord_Howe", "cron(15 2 * * ? *)", "2026-10-02T20:00:00Z",
			[]string{"2026-10-05T02:15:00+11:00"}},
		{"Australia/Lord_Howe", "cron(45 1 * * ? *)", "2026-04-04T00:00:00Z",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		// a midnight that does not exist, and the day that Samoa skipped
		{"Africa/Cairo", "cron(0 0 * * ? *)", "2026-04-23T12:00:00Z",
			[]string{"2026-04-25T00:00:00+03:00"}},
		{"Pacific/Apia", "cron(0 6 30 12 ? 2011-2012)", "2011-01-01T00:00:00Z",
			[]string{"2012-12-30T06:00:00+14:00", "never"}},
		// a day of rate() is 24 hours
		{"Europe/Berlin", "rate(1 day)", "2026-03-28T00:00:00Z",
			[]string{"2026-03-29T01:00:00+01:00", "2026-03-30T02:00:00+02:00"}},
		{"Europe/Berlin", "at(2026-10-25T02:30:00)", "2026-01-01T00:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "never"}},
	} {
		t.Run(c.zone+" "+c.expression, func(t *testing.T) {
			t.Parallel()
			s := mustParse(t, c.expression, zone(t, c.zone))
			compare(t, fireTimes(s, at(t, c.after), len(c.want)), c.want)
		})
	}
}

func TestAnchored(t *testing.T) {
	t.Parallel()
	start := at(t, "2026-11-22T12:03:20Z")
	s := mustParse(t, "rate(10 minutes)", nil).Anchored(start)
	compare(t, fireTimes(s, at(t, "2026-01-01T00:00:00Z"), 2), []string{"2026-11-22T12:03:20Z", "2026-11-22T12:13:20Z"})
	compare(t, fireTimes(s, start, 1), []string{"2026-11-22T12:13:20Z"})
	daily := mustParse(t, "cron(0 6 * * ? *)", nil)
	compare(t, fireTimes(daily.Anchored(start), start, 1), fireTimes(daily, start, 1))
}

func TestZeroScheduleNeverFires(t *testing.T) {
	t.Parallel()
	if next := (cron.Schedule{}).Next(time.Now()); !next.IsZero() {
		t.Errorf("the zero Schedule fires at %s", next)
	}
}

// parseErrorTests lists invalid expressions, each with a part of its error.
var parseErrorTests = []struct{ expression, want string }{
	// Unix cron
	{"0 6 * * 1", "write cron(0 6 ? * MON *)"},
	{"cron(0 6 * * 1)", "write cron(0 6 ? * MON *)"},
	{"*/5 * * * *", "write cron(*/5 * * * ? *)"},
	{"0 6 * * 1-5", "write cron(0 6 ? * MON-FRI *)"},
	{"0 6 * * 0,7", "write cron(0 6 ? * SUN *)"},
	{"0 6 * * 5-7", "write cron(0 6 ? * SUN,FRI,SAT *)"},
	{"0 6 * * */2", "write cron(0 6 ? * SUN,TUE,THU,SAT *)"},
	{"0 6 1 jan *", "write cron(0 6 1 JAN ? *)"},
	{"0 6 1 * 1", "use two schedules: cron(0 6 1 * ? *) and cron(0 6 ? * MON *)"},
	{"0 6 99 * *", "six fields: minutes hours day-of-month month day-of-week year"},
	{"@daily", "write cron(0 0 * * ? *)"},
	{"@Hourly", "write cron(0 * * * ? *)"},
	{"@every 90m", "write rate(90 minutes)"},
	{"@reboot", "EventBridge Scheduler does not support @reboot"},
	// expressions without one of the three forms
	{"", "the expression is empty"},
	{"0 6 ? * MON *", "write cron(0 6 ? * MON *)"},
	{"5 minutes", "write rate(5 minutes)"},
	{"2026-11-24T06:00:00", "write at(2026-11-24T06:00:00)"},
	{"Rate(5 minutes)", "write rate(5 minutes)"},
	{" rate(5 minutes)", "write rate(5 minutes)"},
	{"cron(0 6 ? * MON *", "not a schedule expression"},
	{"every(5 minutes)", "not a schedule expression"},
	{"cron(" + strings.Repeat("0,", 200) + "0 6 ? * MON *)", "at most 256"},
	{"cron(0 6 ?)", "cron() has 3 fields; want six"},
	{"cron()", "cron() has 0 fields"},
	// fields
	{"cron(75 6 ? * MON *)", `minutes "75": out of range; want 0-59`},
	{"cron(0 24 ? * MON *)", `hours "24": out of range; want 0-23`},
	{"cron(0 6 32 * ? *)", `day-of-month "32": out of range; want 1-31`},
	{"cron(0 6 ? 13 MON *)", `month "13": out of range; want 1-12 or JAN-DEC`},
	{"cron(0 6 ? * 0 *)", `day-of-week "0": out of range; want 1-7 or SUN-SAT`},
	{"cron(0 6 ? * MONDAY *)", `day-of-week "MONDAY": want 1-7 or SUN-SAT`},
	{"cron(0 6 ? * MON 1969)", `year "1969": out of range; want 1970-2199`},
	{"cron(0 6 ? * MON 2030-2020)", `year "2030-2020": the range runs backwards; did you mean 2020-2030?`},
	{"cron(, 6 ? * MON *)", `minutes "": want 0-59`},
	{"cron(+5 6 ? * MON *)", `minutes "+5": want`},
	{"cron(0/0 6 ? * MON *)", `minutes "0/0": the step after /`},
	{"cron(0/90 * * * ? *)", "the step 90 is larger than the 60 values"},
	{"cron(50-10/5 * * * ? *)", "runs backwards"},
	{"cron(? 6 * * ? *)", `minutes "?": want 0-59`},
	{"cron(0 6 L-31 * ? *)", `day-of-month "L-31": L is the last day`},
	{"cron(0 6 L3 * ? *)", `day-of-month "L3"`},
	{"cron(0 6 0W * ? *)", `day-of-month "0": out of range`},
	{"cron(0 6 ? * 3#6 *)", `day-of-week "3#6": after # write the number in the month`},
	{"cron(0 6 ? * 3#1,6#3 *)", "# is not allowed in a list"},
	{"cron(0 6 ? * 2/2 *)", "list them, such as MON,WED,FRI"},
	{"cron(0 6 * * * *)", `day-of-week "*": one of the two day fields must be ?`},
	{"cron(0 6 * * MON *)", `day-of-month "*": one of the two day fields must be ?`},
	{"cron(0 6 1 * MON *)", "one of the two must be ?; use two schedules"},
	{"cron(0 6 ? * ? *)", "both ?"},
	// rate and at
	{"rate(5)", "a number and a unit"},
	{"rate(0 minutes)", `value "0": want a whole number of 1 or more`},
	{"rate(1.5 hours)", `value "1.5": want a whole number`},
	{"rate(5 minute)", "rate(5 minutes)"},
	{"rate(2 weeks)", "rate(14 days)"},
	{"rate(30 seconds)", "at most once a minute"},
	{"rate(9223372036854775807 days)", "longer than a century"},
	{"at(2026-11-24T06:00:00Z)", "without a zone: write at(2026-11-24T06:00:00)"},
	{"at(2026-11-24T06:00:00+01:00)", "without a zone: write at(2026-11-24T06:00:00)"},
	{"at(2026-11-24T06:00:00.5)", "at() takes yyyy-mm-ddThh:mm:ss"},
	{"at(2026-11-24)", "at(2026-11-24T00:00:00)"},
	{"at(2026-02-30T06:00:00)", "at() takes yyyy-mm-ddThh:mm:ss"},
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range parseErrorTests {
		t.Run(c.expression, func(t *testing.T) {
			t.Parallel()
			_, err := cron.Parse(c.expression, nil)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("\n got %s\nwant %s", err, c.want)
			}
		})
	}
}

func TestAtInTheGapIsAnError(t *testing.T) {
	t.Parallel()
	_, err := cron.Parse("at(2026-03-29T02:30:00)", zone(t, "Europe/Berlin"))
	if err == nil || !strings.Contains(err.Error(), "does not exist in Europe/Berlin") {
		t.Errorf("got %v, want an error for a time that does not exist", err)
	}
}
