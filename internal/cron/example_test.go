package cron_test

import (
	"fmt"
	"time"

	"modeldispatch/internal/cron"
)

// On the Sunday on which clocks go forward, two in the morning does not exist.
func ExampleSchedule_Next() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := cron.Parse("cron(0 2 ? * SAT-MON *)", berlin)
	if err != nil {
		fmt.Println(err)
		return
	}
	t := time.Date(2026, time.March, 27, 12, 0, 0, 0, berlin)
	for range 3 {
		t = s.Next(t)
		fmt.Println(t.Format("Mon 2006-01-02 15:04 MST"))
	}
	// Output:
	// Sat 2026-03-28 02:00 CET
	// Mon 2026-03-30 02:00 CEST
	// Sat 2026-04-04 02:00 CEST
}

func ExampleParse_unix() {
	_, err := cron.Parse("30 6 * * 1-5", nil)
	fmt.Println(err)
	// Output:
	// "30 6 * * 1-5": five fields are Unix cron; for EventBridge Scheduler write cron(30 6 ? * MON-FRI *)
}
