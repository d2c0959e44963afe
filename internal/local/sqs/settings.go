package sqs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxMessage is the most that one message, attributes included, or one batch may hold, in bytes.
const maxMessage = 1 << 20

// limits is what a queue's settings say, parsed.
type limits struct {
	visibility, delay, wait, retention time.Duration
	size                               int
	deadLetter                         string // a queue's name
	maxReceives                        int
}

// number is a numeric queue attribute: its range, its default, and where it goes.
type number struct {
	name          string
	min, max, def int
	put           func(*limits, int)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func numbers() []number {
	return []number{
		{"VisibilityTimeout", 0, 43200, 30, func(l *limits, n int) { l.visibility = seconds(n) }},
		{"DelaySeconds", 0, 900, 0, func(l *limits, n int) { l.delay = seconds(n) }},
		{"ReceiveMessageWaitTimeSeconds", 0, 20, 0, func(l *limits, n int) { l.wait = seconds(n) }},
		{"MessageRetentionPeriod", 60, 1209600, 345600, func(l *limits, n int) { l.retention = seconds(n) }},
		{"MaximumMessageSize", 1024, maxMessage, maxMessage, func(l *limits, n int) { l.size = n }},
	}
}

// kept are attributes that SQS has and this server only remembers.
func kept(name string) bool {
	switch name {
	case "Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled":
		return true
	}
	return false
}

// parseSettings checks the attributes given for a queue and fills in the defaults.
func (s *Server) parseSettings(settings map[string]string) (limits, error) {
	var l limits
	known := map[string]bool{"RedrivePolicy": true}
	for _, n := range numbers() {
		known[n.name] = true
		got, err := n.parse(settings[n.name])
		if err != nil {
			return l, err
		}
		n.put(&l, got)
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name == "FifoQueue" {
			return l, unsupported("FifoQueue is set; the local stack has standard queues only.")
		}
		if !known[name] && !kept(name) {
			return l, unknownAttribute(name)
		}
	}
	return l, l.parseRedrive(settings["RedrivePolicy"], s.ARN(""))
}

func (n number) parse(text string) (int, error) {
	if text == "" {
		return n.def, nil
	}
	got, err := strconv.Atoi(text)
	if err != nil || got < n.min || got > n.max {
		return 0, invalidAttribute(n.name, text, fmt.Sprintf("%d to %d is right", n.min, n.max))
	}
	return got, nil
}

// parseRedrive reads {"deadLetterTargetArn": "…", "maxReceiveCount": 5}; the count may be a string.
func (l *limits) parseRedrive(text, arnPrefix string) error {
	if text == "" {
		return nil
	}
	var policy struct {
		Target   string          `json:"deadLetterTargetArn"`
		Receives json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return invalidAttribute("RedrivePolicy", text, "it is not a JSON object with deadLetterTargetArn and maxReceiveCount")
	}
	name, ours := strings.CutPrefix(policy.Target, arnPrefix)
	if !ours || name == "" {
		return invalidAttribute("RedrivePolicy", text, "deadLetterTargetArn is not the ARN of a queue here, "+arnPrefix+"NAME")
	}
	count, err := strconv.Atoi(string(bytes.Trim(policy.Receives, `"`)))
	if err != nil || count < 1 || count > 1000 {
		return invalidAttribute("RedrivePolicy", text, "maxReceiveCount is not 1 to 1000")
	}
	l.deadLetter, l.maxReceives = name, count
	return nil
}

// attributes are the queue's settings with their defaults, as GetQueueAttributes names them.
func (q queue) attributes() map[string]string {
	all := map[string]string{}
	for _, n := range numbers() {
		all[n.name] = strconv.Itoa(n.def)
	}
	maps.Copy(all, q.settings)
	return all
}
