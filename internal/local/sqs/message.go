package sqs

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Attribute is a message attribute as it is on the wire. DataType is String, Number or Binary,
// with a label of the sender's own after a dot if it likes: Number.int.
type Attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`

	// SQS has reserved these and refuses them.
	StringListValues []string `json:",omitempty"`
	BinaryListValues [][]byte `json:",omitempty"`
}

// Text is a String attribute.
func Text(value string) Attribute { return Attribute{DataType: "String", StringValue: &value} }

// Message is a received message.
type Message struct {
	ID         string
	Receipt    string // what Delete and ChangeVisibility want
	Body       string
	Attributes map[string]Attribute
	Sent       time.Time
	Received   int               // how often, this time included, over all queues
	System     map[string]string // what SQS says about it, by SQS's names: SenderId, SentTimestamp, …
}

// MD5 is the sum of the body, as SQS gives it.
func (m Message) MD5() string { return sumBody(m.Body) }

func sumBody(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// MD5OfAttributes is SQS's sum of message attributes, "" for none: in order of name, the
// length-prefixed name, type and value, with a byte that says which kind of value it is.
func MD5OfAttributes(attributes map[string]Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	sum := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		hashPart(sum, []byte(name))
		hashPart(sum, []byte(a.DataType))
		if a.kind() == "Binary" {
			sum.Write([]byte{2})
		} else {
			sum.Write([]byte{1})
		}
		hashPart(sum, a.value())
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func hashPart(sum hash.Hash, part []byte) {
	sum.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
	sum.Write(part)
}

func (a Attribute) kind() string {
	kind, _, _ := strings.Cut(a.DataType, ".")
	return kind
}

func (a Attribute) value() []byte {
	if a.StringValue != nil {
		return []byte(*a.StringValue)
	}
	return a.BinaryValue
}

func (a Attribute) check(name string) error {
	if len(a.StringListValues)+len(a.BinaryListValues) > 0 {
		return unsupported("Message attribute list values in SendMessage operation are not supported.")
	}
	if len(a.DataType) > 256 {
		return invalidParameter("The type of message attribute %q is longer than 256 characters.", name)
	}
	switch kind := a.kind(); {
	case kind != "String" && kind != "Number" && kind != "Binary":
		return invalidParameter("The message attribute %q has an invalid message attribute type %q; String, Number and Binary are right.", name, a.DataType)
	case (kind == "Binary") != (a.BinaryValue != nil) || (kind == "Binary") == (a.StringValue != nil) || len(a.value()) == 0:
		return invalidParameter("The message attribute %q must contain a non-empty value of its type %q, and nothing else.", name, a.DataType)
	case kind == "Number" && !isNumber(*a.StringValue):
		return invalidParameter("The message attribute %q is a Number, which %q is not.", name, *a.StringValue)
	case kind != "Binary":
		return checkText("the message attribute "+name, *a.StringValue)
	}
	return nil
}

// isNumber holds for what SQS takes for a Number: up to 38 digits, from -10^128 to 10^126.
func isNumber(text string) bool {
	if len(text) > 60 || !regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`).MatchString(text) {
		return false
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && math.Abs(f) <= 1e128
}

func checkAttributeName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`).MatchString(name),
		strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."):
		return invalidParameter("The message attribute name %q is invalid: 1 to 256 letters, digits, hyphens, underscores and single periods within are right.", name)
	case strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."):
		return invalidParameter("The message attribute name %q begins with a prefix that AWS has reserved.", name)
	}
	return nil
}

// checkText refuses what XML 1.0 cannot hold, for SQS once spoke XML.
func checkText(what, text string) error {
	for i, r := range text {
		allowed := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			allowed = false // not UTF-8
		}
		if !allowed {
			return modelled("InvalidMessageContents", "InvalidMessageContents",
				"Invalid characters found in %s: byte %d is %q. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", what, i, r)
		}
	}
	return nil
}

// receipt names one receive of one message: only the latest may delete it or hide it longer.
type receipt struct {
	queue, id string
	received  int
}

func (r receipt) String() string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d %s %s", r.received, r.id, r.queue))
}

// parseReceipt reads a receipt that was given out for a message of the queue.
func parseReceipt(queue, text string) (receipt, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	parts := strings.SplitN(string(raw), " ", 3)
	if err != nil || len(parts) != 3 {
		return receipt{}, badReceipt(text)
	}
	received, err := strconv.Atoi(parts[0])
	r := receipt{queue: parts[2], id: parts[1], received: received}
	if err != nil || r.queue != queue || r.String() != text {
		return receipt{}, badReceipt(text)
	}
	return r, nil
}
