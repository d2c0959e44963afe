package cron

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// notAWS is the error for what is none of the three forms. Where it can tell what was meant, it
// shows that in AWS's form.
func notAWS(expression string) error {
	text := strings.TrimSpace(expression)
	fields := strings.Fields(text)
	switch {
	case text == "":
		return errors.New("an expression is wanted: cron(0 6 ? * MON *), rate(5 minutes) or at(2026-11-24T06:00:00)")
	case strings.HasPrefix(text, "@"):
		return fromMacro(fields)
	case len(fields) == 5 && !strings.ContainsAny(text, "?()"):
		return fromUnix(fields)
	}
	for _, right := range []string{text, strings.ToLower(text), "cron(" + text + ")", "rate(" + text + ")", "at(" + text + ")"} {
		if right != expression && valid(right) {
			return fmt.Errorf("write %s", right)
		}
	}
	return errors.New("not a schedule expression; wanted: cron(0 6 ? * MON *), rate(5 minutes) or at(2026-11-24T06:00:00)")
}

// valid tells whether an expression can be shown as an answer. Only the three forms get to their
// parsers, so it does not come back to notAWS.
func valid(expression string) bool {
	for _, form := range []string{"cron(", "rate(", "at("} {
		if strings.HasPrefix(expression, form) && strings.HasSuffix(expression, ")") {
			_, err := parse(expression, time.UTC)
			return err == nil
		}
	}
	return false
}

// fromMacro is the error for @daily and its like.
func fromMacro(fields []string) error {
	right := map[string]string{
		"@hourly":   "cron(0 * * * ? *)",
		"@daily":    "cron(0 0 * * ? *)",
		"@midnight": "cron(0 0 * * ? *)",
		"@weekly":   "cron(0 0 ? * SUN *)",
		"@monthly":  "cron(0 0 1 * ? *)",
		"@yearly":   "cron(0 0 1 1 ? *)",
		"@annually": "cron(0 0 1 1 ? *)",
	}[strings.ToLower(fields[0])]
	if len(fields) == 2 && strings.EqualFold(fields[0], "@every") {
		if d, err := time.ParseDuration(fields[1]); err == nil && d >= time.Minute && d%time.Minute == 0 {
			right = fmt.Sprintf("rate(%d minutes)", d/time.Minute)
		}
	}
	if right == "" {
		return fmt.Errorf("%s is not for EventBridge Scheduler; wanted: cron(0 0 * * ? *), rate(5 minutes) or at(2026-11-24T06:00:00)", fields[0])
	}
	return fmt.Errorf("%s is of Unix cron; for EventBridge Scheduler write %s", fields[0], right)
}

// fromUnix is the error for the five fields of Unix cron: there day-of-week counts from Sunday as
// 0 (and 7), no day field is `?`, and there is no year.
func fromUnix(fields []string) error {
	right := awsForms(fields)
	for _, r := range right {
		if !valid(r) {
			return errors.New("five fields are Unix cron, and these are not valid there; EventBridge Scheduler has six: minutes hours day-of-month month day-of-week year, such as cron(0 6 ? * MON *)")
		}
	}
	if len(right) == 2 {
		return fmt.Errorf("five fields are Unix cron, which runs on either day field; for EventBridge Scheduler use two schedules: %s and %s", right[0], right[1])
	}
	return fmt.Errorf("five fields are Unix cron; for EventBridge Scheduler write %s", right[0])
}

// awsForms translates five Unix fields. Two restricted day fields mean "either" to Unix, which
// takes two AWS expressions.
func awsForms(fields []string) []string {
	minute, hour, month := fields[0], fields[1], strings.ToUpper(fields[3])
	ofMonth, ofWeek := fields[2], unixWeekdays(fields[4])
	byMonth := fmt.Sprintf("cron(%s %s %s %s ? *)", minute, hour, ofMonth, month)
	byWeek := fmt.Sprintf("cron(%s %s ? %s %s *)", minute, hour, month, ofWeek)
	switch {
	case ofWeek == "*":
		return []string{byMonth}
	case ofMonth == "*":
		return []string{byWeek}
	}
	return []string{byMonth, byWeek}
}

// unixWeekdays is Unix's day-of-week with names, which mean the same in both grammars. What it
// cannot read it returns as it is.
func unixWeekdays(text string) string {
	names := daysOfWeek().names
	f := field{name: "day-of-week", low: 0, high: 7, names: names}
	s, err := f.set(text)
	if err != nil {
		return text
	}
	if s.has(7) {
		s.add(0)
	}
	var days []int
	for day := range 7 {
		if s.has(day) {
			days = append(days, day)
		}
	}
	return joinDays(days, names)
}

// joinDays writes a run of three or more as a range, such as MON-FRI, else a list.
func joinDays(days []int, names []string) string {
	first, last := days[0], days[len(days)-1]
	switch {
	case len(days) == 7:
		return "*"
	case len(days) > 2 && last-first == len(days)-1:
		return names[first] + "-" + names[last]
	}
	var list []string
	for day := range slices.Values(days) {
		list = append(list, names[day])
	}
	return strings.Join(list, ",")
}
