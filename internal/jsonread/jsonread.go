package jsonread

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrEmpty is the error about a text without any JSON: it is empty, or has only white space.
var ErrEmpty = errors.New("empty")

// Error says where a text stops being one JSON value.
type Error struct {
	Offset int // the number of bytes up to the first wrong one, including it
	Line   int // the line of the first wrong byte, from 1
	Column int // its position in the line in characters, from 1
	Cause  error
}

// Error returns the cause and the offset.
func (e *Error) Error() string { return fmt.Sprintf("not JSON: %v at byte %d", e.Cause, e.Offset) }

// Unwrap returns the cause, a *json.SyntaxError.
func (e *Error) Unwrap() error { return e.Cause }

// Value reads one JSON value: map[string]any, []any, string, json.Number, bool or nil. It returns ErrEmpty or an *Error
// for any other text.
func Value(text []byte) (any, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	var v any
	err := newDecoder(text).Decode(&v)
	return v, err
}

// Object reads a JSON object. It returns the errors of Value and AsObject.
func Object(text []byte) (map[string]any, error) {
	v, err := Value(text)
	if err != nil {
		return nil, err
	}
	return AsObject(v)
}

// AsObject returns a value that Value has read as an object. It returns an error for a value of another kind.
func AsObject(v any) (map[string]any, error) {
	object, isObject := v.(map[string]any)
	if !isObject {
		return nil, fmt.Errorf("%s, not a JSON object", Kind(v))
	}
	return object, nil
}

// Kind returns the kind of a value that this package has read, as a noun phrase: an object, a list, text, a number, a
// boolean or null.
func Kind(v any) string {
	switch v.(type) {
	case map[string]any, Members:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "text"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	}
	return "null"
}

// Members holds the members of a JSON object in the order of the text. A name may come twice.
type Members []Member

// Member is a name of a JSON object with its value.
type Member struct {
	Name  string
	Value any
}

// Ordered reads one JSON value as Value does, with each object as Members.
func Ordered(text []byte) (any, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	return next(newDecoder(text))
}

// next returns the next value of a text that is valid JSON.
func next(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		all := Members{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := next(d)
			if err != nil {
				return nil, err
			}
			all = append(all, Member{Name: fmt.Sprint(name), Value: v})
		}
		_, err = d.Token()
		return all, err
	case json.Delim('['):
		all := []any{}
		for d.More() {
			v, err := next(d)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		_, err = d.Token()
		return all, err
	}
	return token, nil
}

func newDecoder(text []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d
}

// check returns an error if a text is not a single JSON value.
func check(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return ErrEmpty
	}
	var whole json.RawMessage
	err := json.Unmarshal(text, &whole)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	before := text[:max(int(syntax.Offset)-1, 0)]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return &Error{
		Offset: int(syntax.Offset), Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + utf8.RuneCount(line), Cause: syntax,
	}
}
