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

// schedule is one EventBridge Scheduler schedule. Its Input names the trigger's content and the time that it was due at, so
// that a changed schedule is another event, and a repeated delivery is not.
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
	return resource{id("Schedule", name, t.Name), fields{"Type": "AWS::Scheduler::Schedule", "Properties": properties}}, nil
}

// ahead is how long at least a template may wait to be deployed.
const ahead = 30 * time.Minute

// recurrence is when a schedule is due, in Scheduler's words: an expression, its time zone, and a start, if it needs one.
//
// Scheduler counts a rate() from its creation, and it is due then; or from its StartDate, which it refuses when that is more
// than five minutes past ("The StartDate you specify cannot be earlier than 5 minutes ago"). Ours count from the Unix epoch, on
// a laptop and in an account, so each would need a start that changes with every build, and that is refused when
// CloudFormation rolls back to it. But most are equal to a cron() in UTC, which needs none.
func (g generator) recurrence(t model.Trigger) (expression, zone string, start time.Time, err error) {
	s, err := cron.Parse(t.Schedule, t.Location())
	if err != nil || !strings.HasPrefix(t.Schedule, "rate(") {
		return t.Schedule, t.Location().String(), time.Time{}, err
	}
	epoch := time.Unix(0, 0)
	if equal := inUTC(s.Next(epoch).Sub(epoch)); equal != "" {
		return equal, "UTC", time.Time{}, nil
	}
	return t.Schedule, "UTC", s.Next(g.now.Add(ahead)), nil
}

// inUTC is the cron() that is due every so often since the epoch, in UTC: what divides an hour or a day. It is empty for others.
func inUTC(every time.Duration) string {
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

// scheduleName is a schedule's name in the deployment's group: at most 64 characters. No model has a dot in its name, so no two
// triggers have one name.
func scheduleName(name, trigger string) string {
	const most = 64
	if full := name + "." + trigger; len(full) <= most {
		return full
	}
	return name + "." + short(trigger)
}
