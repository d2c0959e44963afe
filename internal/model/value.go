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

// Type is the type of an input, or of any value that a placeholder gives.
type Type string

const (
	String   Type = "string"
	Integer  Type = "integer"
	Number   Type = "number"
	Boolean  Type = "boolean"
	Date     Type = "date"     // 2006-01-02
	DateTime Type = "datetime" // RFC 3339
	S3URI    Type = "s3-uri"   // s3://bucket/key
	JSON     Type = "json"
)

// Types are all types of inputs, in the order in which they are explained.
func Types() []Type {
	return []Type{String, Integer, Number, Boolean, Date, DateTime, S3URI, JSON}
}

// Value is a typed value in its canonical text: ISO dates, RFC 3339 times, compact JSON, and
// everything else as written.
type Value struct {
	Type Type
	Text string
}

// Text is a value that is just text; an input reads it in its own type and format.
func Text(s string) Value { return Value{Type: String, Text: s} }

// Input is a typed, validated parameter of a model.
type Input struct {
	Name        string    `json:"name"`
	Type        Type      `json:"type"`
	Description string    `json:"description,omitempty"`
	Enum        []string  `json:"enum,omitempty"`
	Format      string    `json:"format,omitempty"` // of a date or datetime, as %Y%m%d; default ISO
	Default     *Template `json:"default,omitempty"`
	Optional    bool      `json:"optional,omitempty"`
	AsFile      bool      `json:"asFile,omitempty"` // the model is given an S3 URI of the value
}

// FileName is what the input's value is called where it is given as a file.
func (in Input) FileName() string {
	if in.Type == JSON {
		return in.Name + ".json"
	}
	return in.Name + ".txt"
}

// Inputs are bound inputs: canonical text by name. An input that is not in it is unset.
type Inputs map[string]string

// Parse validates a value for the input and returns its canonical text. A value that already has
// the input's type is taken as it is; any other is read from its text. Control characters other than
// tab and newline are refused, except by an input of type json: JSON carries them escaped.
func (in Input) Parse(v Value) (string, error) {
	if v.Type == JSON && in.Type != JSON {
		return "", fmt.Errorf("%s is JSON with parts of its own; an input of type json takes it, and this is of type %s", quote(v.Text), in.Type)
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

// Text is the canonical text of a value of this input, as a template and the container see it:
// dates in the input's own format, everything else unchanged.
func (in Input) Text(canonical string) string {
	if in.Format == "" {
		return canonical
	}
	if t, err := in.time(canonical); err == nil {
		return Strftime(in.Format, t)
	}
	return canonical
}

func (in Input) time(canonical string) (time.Time, error) {
	if in.Type == Date {
		return time.Parse(time.DateOnly, canonical)
	}
	return time.Parse(time.RFC3339Nano, canonical)
}

// checkText refuses what terminals, logs and XML readers take for something else than text.
func (in Input) checkText(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not text: UTF-8 is needed", quote(text))
	}
	i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' })
	if i < 0 || in.Type == JSON {
		return nil
	}
	r, _ := utf8.DecodeRuneInString(text[i:])
	return fmt.Errorf("%s has the control character %q at character %d, and only tab and newline are allowed: "+
		"take it out, or send it escaped in an input of type json", quote(text), r, 1+utf8.RuneCountInString(text[:i]))
}

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
			return "", fmt.Errorf("%s is not a number, as 12 or -0.5e3", quote(text))
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
		if _, _, err := SplitS3(text); err != nil {
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

func (in Input) canonicalTime(text string) (string, error) {
	form, canonical := "%Y-%m-%d", time.DateOnly
	if in.Type == DateTime {
		form, canonical = "an RFC 3339 time, as 2026-01-05T06:00:00Z", time.RFC3339Nano
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

// SplitS3 takes an S3 URI apart.
func SplitS3(uri string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, slash := strings.Cut(rest, "/")
	switch {
	case !ok || !slash || !IsBucket(bucket) || key == "":
		return "", "", fmt.Errorf("%s is not an S3 URI of the form s3://bucket/key", quote(uri))
	case len(key) > maxKey:
		return "", "", fmt.Errorf("%s has a key of %d bytes, and S3 takes %d", quote(uri), len(key), maxKey)
	}
	return bucket, key, nil
}

// maxKey is how many bytes a key has at most ("Naming Amazon S3 objects").
const maxKey = 1024

// IsBucket says whether a bucket can have the name.
func IsBucket(name string) bool { return bucketForm.MatchString(name) && !strings.Contains(name, "..") }

var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// quote returns a value as errors show it: quoted, safe to print, and cut where it is long.
func quote(text string) string {
	const most = 80 // bytes
	if len(text) <= most {
		return strconv.Quote(text)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(text[:cut]) + "…"
}
