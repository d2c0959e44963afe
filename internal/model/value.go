package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Type is the type of an input, or of the value of a placeholder.
type Type string

const (
	String   Type = "string"   // any text without control characters other than tab and newline
	Integer  Type = "integer"  // a signed integer of at most 64 bits
	Number   Type = "number"   // a number in the form of JSON, such as 12 or -0.5e3
	Boolean  Type = "boolean"  // true or false
	Date     Type = "date"     // 2006-01-02, or the input's format
	DateTime Type = "datetime" // an RFC 3339 time, or the input's format
	S3URI    Type = "s3-uri"   // s3://bucket/key
	JSON     Type = "json"     // any JSON value
)

// Types returns all types of inputs, in the order in which help texts list them.
func Types() []Type {
	return []Type{String, Integer, Number, Boolean, Date, DateTime, S3URI, JSON}
}

// Value is a typed value in its canonical text: ISO dates, RFC 3339 times, compact JSON, and
// everything else as written.
type Value struct {
	Type Type
	Text string
}

// Text returns a value of type String. Input.Parse reads such a value in the input's own type and format.
func Text(s string) Value { return Value{Type: String, Text: s} }

// Input is a typed, validated parameter of a model.
type Input struct {
	Name        string    `json:"name"`
	Type        Type      `json:"type"`
	Description string    `json:"description,omitempty"`
	Enum        []string  `json:"enum,omitempty"`
	Format      string    `json:"format,omitempty"` // format of a date or datetime, such as %Y%m%d; "" is ISO
	Default     *Template `json:"default,omitempty"`
	Optional    bool      `json:"optional,omitempty"`
	AsFile      bool      `json:"asFile,omitempty"` // the task gets the S3 URI of a file with the value
}

// FileName returns the name of the file with the input's value, for an input with AsFile.
func (in Input) FileName() string {
	if in.Type == JSON {
		return in.Name + ".json"
	}
	return in.Name + ".txt"
}

// Inputs maps the names of bound inputs to their canonical text. An input without an entry is unset.
type Inputs map[string]string

// Parse validates a value for the input and returns its canonical text. A value of the input's own type is canonical
// already; any other value is read from its text, in the input's type and format. Parse returns an error for a text of
// another form, for a value outside the enum, and for control characters other than tab and newline. An input of type
// json may have such characters, because JSON carries them escaped.
func (in Input) Parse(v Value) (string, error) {
	if v.Type == JSON && in.Type != JSON {
		return "", fmt.Errorf("%s is a JSON value, which only an input of type json takes; this input has type %s",
			quote(v.Text), in.Type)
	}
	if err := in.checkText(v.Text); err != nil {
		return "", err
	}
	text := v.Text
	if v.Type != in.Type || in.Type == S3URI || in.Type == String {
		var err error
		if text, err = in.canonical(v.Text); err != nil {
			return "", err
		}
	}
	if len(in.Enum) > 0 && !slices.Contains(in.Enum, text) {
		return "", fmt.Errorf("%s is not one of %s", quote(text), strings.Join(in.Enum, ", "))
	}
	return text, nil
}

// Text returns canonical text in the form in which templates and the container get it: dates in the input's own
// format, everything else unchanged.
func (in Input) Text(canonical string) string {
	if in.Format == "" {
		return canonical
	}
	if t, err := in.time(canonical); err == nil {
		return Strftime(in.Format, t)
	}
	return canonical
}

// time parses the canonical text of a date or datetime.
func (in Input) time(canonical string) (time.Time, error) {
	if in.Type == Date {
		return time.Parse(time.DateOnly, canonical)
	}
	return time.Parse(time.RFC3339Nano, canonical)
}

// checkText returns an error for bytes that terminals, logs and XML readers do not take for text.
func (in Input) checkText(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not text in UTF-8", quote(text))
	}
	i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' })
	if i < 0 || in.Type == JSON {
		return nil
	}
	r, _ := utf8.DecodeRuneInString(text[i:])
	return fmt.Errorf("%s has the control character %q at character %d, and only tab and newline are allowed: "+
		"take it out, or send it escaped in an input of type json", quote(text), r, 1+utf8.RuneCountInString(text[:i]))
}

// canonical reads a text in the input's type and format, and returns its canonical text.
func (in Input) canonical(text string) (string, error) {
	switch in.Type {
	case Integer:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", fmt.Errorf("%s is not an integer of at most 64 bits", quote(text))
		}
		return strconv.FormatInt(n, 10), nil
	case Number:
		if !numberForm.MatchString(text) {
			return "", fmt.Errorf("%s is not a number such as 12 or -0.5e3", quote(text))
		}
		return text, nil
	case Boolean:
		if text != "true" && text != "false" {
			return "", fmt.Errorf("%s is not a boolean: true or false", quote(text))
		}
		return text, nil
	case Date, DateTime:
		return in.canonicalTime(text)
	case S3URI:
		if _, err := ParseObjectURI(text); err != nil {
			return "", err
		}
		return text, nil
	case JSON:
		var out bytes.Buffer
		if err := json.Compact(&out, []byte(text)); err != nil {
			return "", fmt.Errorf("%s is not JSON: %w", quote(text), err)
		}
		return out.String(), nil
	default:
		return text, nil
	}
}

var numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// canonicalTime is canonical for a date or datetime.
func (in Input) canonicalTime(text string) (string, error) {
	form, canonical := "%Y-%m-%d", time.DateOnly
	if in.Type == DateTime {
		form, canonical = "an RFC 3339 time such as 2026-01-05T06:00:00Z", time.RFC3339Nano
	}
	var t time.Time
	var err error
	switch {
	case in.Format != "":
		form = in.Format
		t, err = Strptime(in.Format, text)
	case in.Type == Date:
		t, err = time.Parse(time.DateOnly, text)
	default:
		t, err = time.Parse(time.RFC3339Nano, text)
	}
	if err != nil {
		return "", fmt.Errorf("%s is not a %s of the form %s", quote(text), in.Type, form)
	}
	return t.Format(canonical), nil
}

// quote returns a value for an error text: quoted, safe to print, and cut after 80 bytes.
func quote(text string) string {
	const limit = 80
	if len(text) <= limit {
		return strconv.Quote(text)
	}
	cut := limit
	for cut > limit-utf8.UTFMax && !utf8.RuneStart(text[cut]) { // do not cut a character
		cut--
	}
	return strconv.Quote(text[:cut]) + "…"
}

// ObjectURI is the URI of an S3 object: s3://bucket/key. Its key is not encoded.
type ObjectURI struct {
	Bucket string
	Key    string
}

// ObjectScheme begins the URI of every S3 object.
const ObjectScheme = "s3://"

// String returns the URI as text.
func (u ObjectURI) String() string { return ObjectScheme + u.Bucket + "/" + u.Key }

// CutObjectURI splits a text of the form s3://bucket/key, and reports whether it has that form. It checks neither the
// bucket nor the key, which may be empty: the text may be a pattern, or a template.
func CutObjectURI(text string) (ObjectURI, bool) {
	rest, isURI := strings.CutPrefix(text, ObjectScheme)
	bucket, key, slash := strings.Cut(rest, "/")
	if !isURI || !slash {
		return ObjectURI{}, false
	}
	return ObjectURI{bucket, key}, true
}

// ParseObjectURI reads the URI of an S3 object. It returns an error if the text does not have the form s3://bucket/key,
// if the bucket has no valid name, or if the key is longer than S3 allows.
func ParseObjectURI(text string) (ObjectURI, error) {
	u, isURI := CutObjectURI(text)
	switch {
	case !isURI || u.Bucket == "" || u.Key == "":
		return ObjectURI{}, fmt.Errorf("%s is not an S3 URI of the form s3://bucket/key", quote(text))
	case !IsBucket(u.Bucket):
		return ObjectURI{}, fmt.Errorf("bucket %s is not a valid name: %s", quote(u.Bucket), BucketRule)
	case len(u.Key) > maxKey:
		return ObjectURI{}, fmt.Errorf("%s has a key of %d bytes, and S3 takes %d", quote(text), len(u.Key), maxKey)
	}
	return u, nil
}

// ObjectPrefix returns the text with which every object begins whose URI the template gives: the bucket, and the beginning
// of the key up to the first placeholder. It reports false if the bucket depends on a placeholder, or if the template
// gives no URI of an S3 object.
func (t Template) ObjectPrefix() (ObjectURI, bool) {
	literal, _, _ := strings.Cut(t.source, "{")
	return CutObjectURI(literal)
}

// maxKey is the greatest length of a key in bytes (Amazon S3 user guide, "Naming Amazon S3 objects").
const maxKey = 1024

// BucketRule is the rule for bucket names, for error texts.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const BucketRule = "use 3 to 63 lowercase letters, digits, hyphens and single dots, starting and ending with a letter or digit"

// IsBucket reports whether a name follows BucketRule.
func IsBucket(name string) bool { return bucketForm.MatchString(name) && !strings.Contains(name, "..") }

var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
