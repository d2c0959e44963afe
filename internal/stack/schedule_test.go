package stack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
)

// schedule returns the properties of the schedule that a compilation at a time generates for a model with one trigger.
func schedule(t *testing.T, m, trigger, expression string, at time.Time) map[string]any {
	t.Helper()
	c := model.Catalog{Models: []model.Model{{Name: m, Triggers: []model.Trigger{{
		Name: trigger, Kind: model.Schedule, Schedule: expression, Hash: "of-the-users-text", Timezone: "America/New_York",
	}}}}}
	for _, r := range allResources(t, generateAt(t, c, nil, at)) {
		if r.Type == "AWS::Scheduler::Schedule" {
			if input := fmt.Sprint(r.Properties["Target"]); !strings.Contains(input, "of-the-users-text") {
				t.Errorf("the target is %s, without the trigger's hash", input)
			}
			return r.Properties
		}
	}
	t.Fatal("the templates have no schedule")
	return nil
}

// afterNow is the time of another compilation.
var afterNow = now.Add(37*time.Minute + 11*time.Second)

// TestRateBecomesCron checks the rates that have an equal cron(): the times are those on a laptop, and the schedule
// is the same in every compilation.
func TestRateBecomesCron(t *testing.T) {
	t.Parallel()
	for rate, want := range map[string]string{
		"rate(1 minute)": "cron(* * * * ? *)", "rate(5 minutes)": "cron(0/5 * * * ? *)", "rate(12 minutes)": "cron(0/12 * * * ? *)",
		"rate(30 minutes)": "cron(0/30 * * * ? *)", "rate(60 minutes)": "cron(0 * * * ? *)", "rate(1 hour)": "cron(0 * * * ? *)",
		"rate(2 hours)": "cron(0 0/2 * * ? *)", "rate(8 hours)": "cron(0 0/8 * * ? *)", "rate(720 minutes)": "cron(0 0/12 * * ? *)",
		"rate(24 hours)": "cron(0 0 * * ? *)", "rate(1 day)": "cron(0 0 * * ? *)",
	} {
		got := schedule(t, "m", "often", rate, now)
		expression, zone := got["ScheduleExpression"], got["ScheduleExpressionTimezone"]
		if expression != want || zone != "UTC" || got["StartDate"] != nil {
			t.Errorf("%s: %v in %v from %v, want %s in UTC and no StartDate", rate, expression, zone, got["StartDate"], want)
		}
		laptop, _ := cron.Parse(rate, nil)
		account, err := cron.Parse(want, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		for at, i := now, 0; i < 100; i++ {
			if a, b := laptop.Next(at), account.Next(at); !a.Equal(b) {
				t.Fatalf("%s is due at %s on a laptop and at %s in an account", rate, a, b)
			}
			at = laptop.Next(at)
		}
		if again := schedule(t, "m", "often", rate, afterNow); fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("%s: the first compilation generates %v, and a later one %v", rate, got, again)
		}
	}
}

// TestRateKeepsItsTimesWithAStartDate checks the rates that have no equal cron(): the StartDate is the first of the
// rate's times on a laptop that is at least half an hour after the compilation.
func TestRateKeepsItsTimesWithAStartDate(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{
		"rate(7 minutes)", "rate(45 minutes)", "rate(90 minutes)", "rate(5 hours)", "rate(36 hours)", "rate(2 days)",
	} {
		for _, at := range []time.Time{now, afterNow} {
			got := schedule(t, "m", "often", rate, at)
			start, err := time.Parse(time.RFC3339, fmt.Sprint(got["StartDate"]))
			if err != nil {
				t.Fatal(err)
			}
			laptop, _ := cron.Parse(rate, nil)
			earliest := at.Add(30 * time.Minute)
			isTime := laptop.Next(start.Add(-time.Second)).Equal(start)
			isFirst := !start.Before(earliest) && !laptop.Next(earliest).Before(start)
			if got["ScheduleExpression"] != rate || !isTime || !isFirst {
				t.Errorf("%s compiled at %s: %v from %s, want %s from its first time after %s",
					rate, at, got["ScheduleExpression"], start, rate, earliest)
			}
		}
	}
}

func TestScheduleNamesAreUnique(t *testing.T) {
	t.Parallel()
	name := func(m, trigger string) any { return schedule(t, m, trigger, "rate(1 hour)", now)["Name"] }
	if a, b := name("sales", "eu-schedule"), name("sales-eu", "schedule"); a != "sales.eu-schedule" || b != "sales-eu.schedule" {
		t.Errorf("the schedules have the names %v and %v, want sales.eu-schedule and sales-eu.schedule", a, b)
	}
	long := strings.Repeat("x", 39)
	if a, b := name("a"+long, "a"+long), name("a"+long, "b"+long); a == b || len(fmt.Sprint(a)) > 64 {
		t.Errorf("the schedules have the names %v and %v, want different names of at most 64 characters", a, b)
	}
}
