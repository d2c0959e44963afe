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

// maxMessage is the largest size of one message with its attributes, and of one batch, in bytes.
const maxMessage = 1 << 20

// limits holds a queue's settings in parsed form.
type limits struct {
	visibility, delay, wait, retention time.Duration
	size                               int    // the largest message, in bytes
	deadLetter                         string // the name of the dead-letter queue; "" means none
	maxReceives                        int
}

// intSetting is a numeric queue attribute with its range, its default and the field of limits that it sets.
type intSetting struct {
	name          string
	min, max, def int
	set           func(*limits, int)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func intSettings() []intSetting {
	return []intSetting{
		{"VisibilityTimeout", 0, 43200, 30, func(l *limits, n int) { l.visibility = seconds(n) }},
		{"DelaySeconds", 0, 900, 0, func(l *limits, n int) { l.delay = seconds(n) }},
		{"ReceiveMessageWaitTimeSeconds", 0, 20, 0, func(l *limits, n int) { l.wait = seconds(n) }},
		{"MessageRetentionPeriod", 60, 1209600, 345600, func(l *limits, n int) { l.retention = seconds(n) }},
		{"MaximumMessageSize", 1024, maxMessage, maxMessage, func(l *limits, n int) { l.size = n }},
	}
}

// isStoredOnly reports whether this server only stores and returns a queue attribute, without acting
// on it.
func isStoredOnly(name string) bool {
	switch name {
	case "Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled":
		return true
	}
	return false
}

// parseSettings checks and parses a queue's attributes. Attributes that are missing get SQS's defaults.
func (s *Server) parseSettings(settings map[string]string) (limits, error) {
	var l limits
	known := map[string]bool{"RedrivePolicy": true}
	for _, n := range intSettings() {
		known[n.name] = true
		got, err := n.parse(settings[n.name])
		if err != nil {
			return l, err
		}
		n.set(&l, got)
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name == "FifoQueue" {
			return l, unsupported("FifoQueue is set, but the local stack has standard queues only.")
		}
		if !known[name] && !isStoredOnly(name) {
			return l, unknownAttribute(name)
		}
	}
	return l, l.parseRedrive(settings["RedrivePolicy"], s.ARN(""))
}

// parse returns the setting's value, or its default if text is "".
func (n intSetting) parse(text string) (int, error) {
	if text == "" {
		return n.def, nil
	}
	got, err := strconv.Atoi(text)
	if err != nil || got < n.min || got > n.max {
		return 0, invalidAttribute(n.name, text, fmt.Sprintf("it must be an integer from %d to %d", n.min, n.max))
	}
	return got, nil
}

// parseRedrive parses a redrive policy, {"deadLetterTargetArn": "…", "maxReceiveCount": 5}. The count
// may be a string.
func (l *limits) parseRedrive(text, arnPrefix string) error {
	if text == "" {
		return nil
	}
	var policy struct {
		Target   string          `json:"deadLetterTargetArn"`
		Receives json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return invalidAttribute("RedrivePolicy", text, "it must be a JSON object with deadLetterTargetArn and maxReceiveCount")
	}
	name, ours := strings.CutPrefix(policy.Target, arnPrefix)
	if !ours || name == "" {
		return invalidAttribute("RedrivePolicy", text, "deadLetterTargetArn must be the ARN of a local queue, "+arnPrefix+"NAME")
	}
	count, err := strconv.Atoi(string(bytes.Trim(policy.Receives, `"`)))
	if err != nil || count < 1 || count > 1000 {
		return invalidAttribute("RedrivePolicy", text, "maxReceiveCount must be an integer from 1 to 1000")
	}
	l.deadLetter, l.maxReceives = name, count
	return nil
}

// attributes returns the queue's settings, with their defaults, by SQS's names.
func (q queue) attributes() map[string]string {
	all := map[string]string{}
	for _, n := range intSettings() {
		all[n.name] = strconv.Itoa(n.def)
	}
	maps.Copy(all, q.settings)
	return all
}
