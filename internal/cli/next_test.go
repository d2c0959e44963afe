package cli

import (
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/model"
)

// TestNextCountsOverAllSchedules: of a model with two schedules, next prints the earliest times of both.
func TestNextCountsOverAllSchedules(t *testing.T) {
	t.Parallel()
	m := model.Model{Name: "sales", Triggers: []model.Trigger{
		{Name: "daily", Kind: model.Schedule, Schedule: "cron(0 6 * * ? *)"},
		{Name: "hourly", Kind: model.Schedule, Schedule: "cron(30 * * * ? *)"},
	}}
	now := time.Date(2026, 1, 5, 4, 45, 0, 0, time.UTC)
	for n, want := range map[int]string{0: "", 1: "05:30 hourly", 3: "05:30 hourly, 06:00 daily, 06:30 hourly"} {
		times, err := nextCommand{Count: n}.dueTimes(m, now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, due := range times {
			got = append(got, due.Time.Format("15:04 ")+due.Trigger)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("the next %d due times are %q, want %q", n, text, want)
		}
	}
}
