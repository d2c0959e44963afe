package operate

import (
	"encoding/json"
	"time"
)

// Line is one object that the local stack prints while it runs. Besides the time, it has one field.
type Line struct {
	Time      time.Time     `json:"time"`
	URL       string        `json:"url,omitempty"`
	Decided   *Decision     `json:"decided,omitempty"`
	Updated   *Run          `json:"updated,omitempty"` // without the fields of its spec
	Announced *Announcement `json:"announced,omitempty"`
	LeftOut   *PlayStep     `json:"leftOut,omitempty"`
	Report    *Report       `json:"report,omitempty"`
}

// Announcement is an event that the local stack has announced.
type Announcement struct {
	DetailType string          `json:"detailType"`
	Detail     json.RawMessage `json:"detail"` // docs/announcements.md describes it
}

// PlayStep is a step of a play, with the reason why it stands out.
type PlayStep struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

// Report has the results of a play.
type Report struct {
	Events          int          `json:"events"`
	Runs            int          `json:"runs"`
	Lost            int          `json:"lost"`
	Doubled         int          `json:"doubled"`
	DurationSeconds float64      `json:"durationSeconds"`
	Results         []PlayResult `json:"results"`
	Wrong           []PlayStep   `json:"wrong"`
	LeftOut         []PlayStep   `json:"leftOut"`
}

// PlayResult is the result of an event of a play for a model.
type PlayResult struct {
	Decided Decision `json:"decided"`
	Updated *Run     `json:"updated,omitempty"` // nil if the event started no run, or if the run has not ended
	LogName string   `json:"logName,omitempty"`
}
