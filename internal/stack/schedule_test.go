package stack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
)

// scheduled is the schedule of a model with one trigger, as it is made at a time.
func scheduled(t *testing.T, m, trigger, expression string, at time.Time) map[string]any {
	t.Helper()
	c := model.Catalog{Models: []model.Model{{Name: m, Triggers: []model.Trigger{{Name: trigger, Kind: model.Schedule, Schedule: expression, Hash: "of-the-users-text", Timezone: "America/New_York"}}}}}
	for _, r := range every(t, generateAt(t, c, nil, at)) {
		if r.Type == "AWS::Scheduler::Schedule" {
			if input := fmt.Sprint(r.Properties["Target"]); !strings.Contains(input, "of-the-users-text") {
				t.Errorf("the target is %s, without the trigger's hash", input)
			}
			return r.Properties
		}
	}
	t.Fatal("there is no schedule")
	return nil
}

// TestARateIsDueOnTheGridOfTheLaptop, whenever it was built, and is not due at once when it is deployed.
func TestARateIsDueOnTheGridOfTheLaptop(t *testing.T) {
	t.Parallel()
	later := now.Add(37*time.Minute + 11*time.Second)
	equal := map[string]string{
		"rate(1 minute)": "cron(* * * * ? *)", "rate(5 minutes)": "cron(0/5 * * * ? *)", "rate(12 minutes)": "cron(0/12 * * * ? *)", "rate(30 minutes)": "cron(0/30 * * * ? *)",
		"rate(60 minutes)": "cron(0 * * * ? *)", "rate(1 hour)": "cron(0 * * * ? *)", "rate(2 hours)": "cron(0 0/2 * * ? *)", "rate(8 hours)": "cron(0 0/8 * * ? *)", "rate(720 minutes)": "cron(0 0/12 * * ? *)",
		"rate(24 hours)": "cron(0 0 * * ? *)", "rate(1 day)": "cron(0 0 * * ? *)",
	}
	for rate, want := range equal {
		got := scheduled(t, "m", "often", rate, now)
		if got["ScheduleExpression"] != want || got["ScheduleExpressionTimezone"] != "UTC" || got["StartDate"] != nil {
			t.Errorf("%s: %v in %v from %v, want %s in UTC", rate, got["ScheduleExpression"], got["ScheduleExpressionTimezone"], got["StartDate"], want)
		}
		ours, _ := cron.Parse(rate, nil)
		theirs, err := cron.Parse(want, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		for at, i := now, 0; i < 100; i++ {
			if a, b := ours.Next(at), theirs.Next(at); !a.Equal(b) {
				t.Fatalf("%s is due at %s on a laptop and at %s in an account", rate, a, b)
			}
			at = ours.Next(at)
		}
		if again := scheduled(t, "m", "often", rate, later); fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("%s: built later it is %v, and was %v", rate, again, got)
		}
	}
	for _, rate := range []string{"rate(7 minutes)", "rate(45 minutes)", "rate(90 minutes)", "rate(5 hours)", "rate(36 hours)", "rate(2 days)"} {
		for _, at := range []time.Time{now, later} {
			got := scheduled(t, "m", "often", rate, at)
			start, err := time.Parse(time.RFC3339, fmt.Sprint(got["StartDate"]))
			if err != nil {
				t.Fatal(err)
			}
			ours, _ := cron.Parse(rate, nil)
			if got["ScheduleExpression"] != rate || start.Before(at.Add(30*time.Minute)) || !ours.Next(start.Add(-time.Second)).Equal(start) || ours.Next(at.Add(30*time.Minute)).Before(start) {
				t.Errorf("%s built at %s: %v from %s, want the first of its times that is half an hour ahead", rate, at, got["ScheduleExpression"], start)
			}
		}
	}
}

func TestNoTwoTriggersHaveOneName(t *testing.T) {
	t.Parallel()
	a, b := scheduled(t, "sales", "eu-schedule", "rate(1 hour)", now), scheduled(t, "sales-eu", "schedule", "rate(1 hour)", now)
	if a["Name"] != "sales.eu-schedule" || b["Name"] != "sales-eu.schedule" {
		t.Errorf("the schedules are called %v and %v", a["Name"], b["Name"])
	}
	long := strings.Repeat("x", 39)
	a, b = scheduled(t, "a"+long, "a"+long, "rate(1 hour)", now), scheduled(t, "a"+long, "b"+long, "rate(1 hour)", now)
	if a["Name"] == b["Name"] || len(fmt.Sprint(a["Name"])) > 64 {
		t.Errorf("the schedules are called %v and %v: different names of 64 characters at most are expected", a["Name"], b["Name"])
	}
}
