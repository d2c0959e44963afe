package cron

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// unknownForm returns the error for an expression that has none of the three forms. If it recognizes
// the intended schedule, the error shows it in AWS's form.
func unknownForm(expression string) error {
	text := strings.TrimSpace(expression)
	fields := strings.Fields(text)
	switch {
	case text == "":
		return errors.New("the expression is empty; write cron(0 6 ? * MON *), rate(5 minutes) or at(2026-11-24T06:00:00)")
	case strings.HasPrefix(text, "@"):
		return macroError(fields)
	case len(fields) == 5 && !strings.ContainsAny(text, "?()"):
		return unixError(fields)
	}
	for _, right := range []string{text, strings.ToLower(text), "cron(" + text + ")", "rate(" + text + ")", "at(" + text + ")"} {
		if right != expression && isValid(right) {
			return fmt.Errorf("write %s", right)
		}
	}
	return errors.New("not a schedule expression; write cron(0 6 ? * MON *), rate(5 minutes) or at(2026-11-24T06:00:00)")
}

// isValid reports whether an error may suggest the expression. It parses only an expression with one of
// the three forms, so it does not call unknownForm again.
func isValid(expression string) bool {
	for _, form := range []string{"cron(", "rate(", "at("} {
		if strings.HasPrefix(expression, form) && strings.HasSuffix(expression, ")") {
			_, err := parse(expression, time.UTC)
			return err == nil
		}
	}
	return false
}

// macroError returns the error for a macro of Unix cron, such as @daily.
func macroError(fields []string) error {
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
		return fmt.Errorf("EventBridge Scheduler does not support %s; write cron(0 0 * * ? *), rate(5 minutes) or at(2026-11-24T06:00:00)",
			fields[0])
	}
	return fmt.Errorf("%s is Unix cron; for EventBridge Scheduler write %s", fields[0], right)
}

// unixError returns the error for the five fields of Unix cron. In Unix cron Sunday is 0 and also 7, no
// day field is `?`, and there is no year.
func unixError(fields []string) error {
	right := translateUnix(fields)
	for _, r := range right {
		if !isValid(r) {
			return errors.New("five fields are Unix cron, but these are not valid Unix cron; EventBridge Scheduler has six fields: " +
				sixFields)
		}
	}
	if len(right) == 2 {
		return fmt.Errorf("five fields are Unix cron, which runs if either day field matches; "+
			"for EventBridge Scheduler use two schedules: %s and %s", right[0], right[1])
	}
	return fmt.Errorf("five fields are Unix cron; for EventBridge Scheduler write %s", right[0])
}

// translateUnix translates five Unix fields to AWS's form. If both day fields are restricted, Unix cron
// runs if either of them matches. This needs two AWS expressions.
func translateUnix(fields []string) []string {
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

// unixWeekdays returns a Unix day-of-week with names instead of numbers, because names mean the same in
// both grammars. It returns text that it cannot read without a change.
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

// joinDays returns three or more consecutive days as a range, such as MON-FRI, and other days as a list.
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
