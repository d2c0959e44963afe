package stack

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
)

// schedule returns the EventBridge Scheduler schedule of a trigger. Its Input contains the hash of the trigger's
// content and the scheduled time. So a changed trigger produces a different event, and a repeated delivery the same
// one.
func (g generator) schedule(name string, t model.Trigger) (resource, error) {
	expression, zone, start, err := g.recurrence(t)
	if err != nil {
		return resource{}, err
	}
	input := string(event.SchedulePayload(event.Scheduled{Model: name, Trigger: t.Name, Hash: t.Hash}))
	zero, _ := json.Marshal(time.Time{})
	properties := fields{
		"Name": scheduleName(name, t.Name), "GroupName": ref("Deployment"), "State": "ENABLED",
		"ScheduleExpression": expression, "ScheduleExpressionTimezone": zone,
		"FlexibleTimeWindow": fields{"Mode": "OFF"},
		"Target": fields{
			"Arn": ref("ScheduleFunction"), "RoleArn": ref("SchedulerRole"),
			"Input":            strings.Replace(input, string(zero), `"<aws.scheduler.scheduled-time>"`, 1),
			"DeadLetterConfig": fields{"Arn": ref("DeadLetters")},
			"RetryPolicy":      fields{"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
		},
	}
	if g.catalog.Paused {
		properties["State"] = "DISABLED"
	}
	if !start.IsZero() {
		properties["StartDate"] = start.UTC().Format(time.RFC3339)
	}
	return resource{logicalID("Schedule", name, t.Name), fields{"Type": "AWS::Scheduler::Schedule", "Properties": properties}}, nil
}

// minLead is the shortest time from the compilation to a StartDate. The template must be deployed within it.
const minLead = 30 * time.Minute

// recurrence returns the times of a schedule in Scheduler's form: an expression, its time zone, and a StartDate. A
// zero start means that the schedule needs no StartDate. recurrence returns an error when the trigger's expression is
// not valid.
//
// Scheduler counts a rate() from the schedule's creation, and fires at once; or from a StartDate, which it refuses
// when it is more than five minutes in the past ("The StartDate you specify cannot be earlier than 5 minutes ago").
// Here a rate() counts from the Unix epoch, on a laptop and in an account. So it would need a StartDate, which
// changes with every compilation and which Scheduler refuses when CloudFormation rolls back to an old one. Most rates
// are equal to a cron() in UTC, which needs no StartDate.
func (g generator) recurrence(t model.Trigger) (expression, zone string, start time.Time, err error) {
	s, err := cron.Parse(t.Schedule, t.Location())
	if err != nil || !strings.HasPrefix(t.Schedule, "rate(") {
		return t.Schedule, t.Location().String(), time.Time{}, err
	}
	epoch := time.Unix(0, 0)
	if equal := equalCron(s.Next(epoch).Sub(epoch)); equal != "" {
		return equal, "UTC", time.Time{}, nil
	}
	return t.Schedule, "UTC", s.Next(g.now.Add(minLead)), nil
}

// equalCron returns the cron() expression in UTC that has the same times as a rate counted from the Unix epoch. It
// returns "" when there is none: the interval must divide an hour or a day.
func equalCron(every time.Duration) string {
	const day = 24 * time.Hour
	minutes, hours := int(every.Minutes()), int(every.Hours())
	switch {
	case every == time.Minute:
		return "cron(* * * * ? *)"
	case every < time.Hour && time.Hour%every == 0:
		return fmt.Sprintf("cron(0/%d * * * ? *)", minutes)
	case every == time.Hour:
		return "cron(0 * * * ? *)"
	case every < day && every%time.Hour == 0 && day%every == 0:
		return fmt.Sprintf("cron(0 0/%d * * ? *)", hours)
	case every == day:
		return "cron(0 0 * * ? *)"
	}
	return ""
}

// scheduleName returns a schedule's name in the deployment's schedule group: <model>.<trigger>, or <model>.<hash of the
// trigger's name> when that exceeds 64 characters. A model's name contains no dot, so two triggers never share a name.
func scheduleName(name, trigger string) string {
	const maxLength = 64
	if full := name + "." + trigger; len(full) <= maxLength {
		return full
	}
	return name + "." + shortHash(trigger)
}
