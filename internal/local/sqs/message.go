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

// Attribute is a message attribute in the form of SQS's JSON protocol. DataType is String, Number or
// Binary. The sender may add a label of its own after a dot, as in Number.int.
type Attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`

	// SQS reserves these two fields and rejects messages that set them.
	StringListValues []string `json:",omitempty"`
	BinaryListValues [][]byte `json:",omitempty"`
}

// Text returns an attribute of type String.
func Text(value string) Attribute { return Attribute{DataType: "String", StringValue: &value} }

// Message is a received message.
type Message struct {
	ID         string
	Receipt    string // the receipt handle for Delete and ChangeVisibility
	Body       string
	Attributes map[string]Attribute
	Sent       time.Time
	Received   int               // the number of receives, this one included, in all queues
	System     map[string]string // the system attributes by SQS's names: SenderId, SentTimestamp, …
}

// MD5 returns the MD5 sum of the body in hexadecimal, as SQS returns it.
func (m Message) MD5() string { return md5OfBody(m.Body) }

func md5OfBody(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// MD5OfAttributes returns SQS's MD5 sum of message attributes in hexadecimal, and "" for none. The sum
// covers, in order of the names, each length-prefixed name, type and value. A byte before the value
// tells text from binary.
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

// hashPart adds a part to the sum, with its length before it.
func hashPart(sum hash.Hash, part []byte) {
	sum.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
	sum.Write(part)
}

// kind returns the data type without the sender's label.
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

// check returns SQS's error for an invalid attribute. name is the attribute's name in the error.
func (a Attribute) check(name string) error {
	if len(a.StringListValues)+len(a.BinaryListValues) > 0 {
		return unsupported("Message attribute list values in SendMessage operation are not supported.")
	}
	if len(a.DataType) > 256 {
		return invalidParameter("The type of message attribute %q is longer than 256 characters.", name)
	}
	switch kind := a.kind(); {
	case kind != "String" && kind != "Number" && kind != "Binary":
		return invalidParameter("The message attribute %q has an invalid message attribute type %q: "+
			"the type must be String, Number or Binary.", name, a.DataType)
	case (kind == "Binary") != (a.BinaryValue != nil) || (kind == "Binary") == (a.StringValue != nil) || len(a.value()) == 0:
		return invalidParameter("The message attribute %q must contain a non-empty value of its type %q, and no other value.", name, a.DataType)
	case kind == "Number" && !isNumber(*a.StringValue):
		return invalidParameter("The message attribute %q has type Number, but its value %q is not a number.", name, *a.StringValue)
	case kind != "Binary":
		return checkText("the message attribute "+name, *a.StringValue)
	}
	return nil
}

var (
	numberForm    = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)
)

// isNumber reports whether SQS accepts text as a Number. SQS accepts up to 38 digits, from -10^128 to
// 10^126; this check is a little wider.
func isNumber(text string) bool {
	if len(text) > 60 || !numberForm.MatchString(text) {
		return false
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && math.Abs(f) <= 1e128
}

func checkAttributeName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !attributeName.MatchString(name),
		strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."):
		return invalidParameter("The message attribute name %q is invalid: use 1 to 256 letters, digits, hyphens, "+
			"underscores and periods, without a period at the start, at the end, or after another period.", name)
	case strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."):
		return invalidParameter("The message attribute name %q starts with a prefix that AWS reserves: aws. or amazon.", name)
	}
	return nil
}

// checkText returns SQS's error if text has a character that XML 1.0 cannot hold. SQS has this limit
// because its older protocol used XML. what names the text in the error.
func checkText(what, text string) error {
	for i, r := range text {
		allowed := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			allowed = false // not UTF-8
		}
		if !allowed {
			return modelError("InvalidMessageContents", "InvalidMessageContents",
				"Invalid characters found in %s: byte %d is %q. Valid unicode characters are "+
					"#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", what, i, r)
		}
	}
	return nil
}

// receipt names one receive of one message. Only the latest receipt of a message can delete it or
// change its visibility.
type receipt struct {
	queue, id string
	received  int
}

func (r receipt) String() string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d %s %s", r.received, r.id, r.queue))
}

// parseReceipt parses a receipt of the queue. It returns ReceiptHandleIsInvalid for any other text.
func parseReceipt(queue, text string) (receipt, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	parts := strings.SplitN(string(raw), " ", 3)
	if err != nil || len(parts) != 3 {
		return receipt{}, invalidReceipt(text)
	}
	received, err := strconv.Atoi(parts[0])
	r := receipt{queue: parts[2], id: parts[1], received: received}
	if err != nil || r.queue != queue || r.String() != text {
		return receipt{}, invalidReceipt(text)
	}
	return r, nil
}
