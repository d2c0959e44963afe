package jsonread_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"modeldispatch/internal/jsonread"
)

func TestValue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		`{"a": [1.50, 12345678901234567890, true, null, "x"]}`: map[string]any{
			"a": []any{json.Number("1.50"), json.Number("12345678901234567890"), true, nil, "x"},
		},
		" 1e999\n":         json.Number("1e999"),
		`null`:             nil,
		`""`:               "",
		`{"a": 1, "a": 2}`: map[string]any{"a": json.Number("2")},
	} {
		if got, err := jsonread.Value([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %#v, %v; want %#v", text, got, err, want)
		}
	}
}

// The position of an error is the first byte that is wrong, or the last byte of a text that ends too early.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want   string
		line, column int
	}{
		{"", "empty", 0, 0},
		{" \n", "empty", 0, 0},
		{"not json", "not JSON: invalid character 'o' in literal null (expecting 'u') at byte 2", 1, 2},
		{`{"a":`, "not JSON: unexpected end of JSON input at byte 5", 1, 5},
		{`{"a": 1} {"b": 2}`, "not JSON: invalid character '{' after top-level value at byte 10", 1, 10},
		{"{\n \"ü\": 1,\n}", "not JSON: invalid character '}' looking for beginning of object key string at byte 13", 3, 1},
		{`{"üü": x}`, "not JSON: invalid character 'x' looking for beginning of value at byte 10", 1, 8},
		{strings.Repeat("[", 20_000), "not JSON: invalid character '[' exceeded max depth at byte 10001", 1, 10001},
	} {
		_, err := jsonread.Value([]byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%.20s: error %v, want %s", c.text, err, c.want)
			continue
		}
		var at *jsonread.Error
		if errors.As(err, &at) != (c.line > 0) || at != nil && (at.Line != c.line || at.Column != c.column) {
			t.Errorf("%.20s: error at %+v, want %d:%d", c.text, at, c.line, c.column)
		}
		if _, again := jsonread.Ordered([]byte(c.text)); again == nil || again.Error() != c.want {
			t.Errorf("%.20s: Ordered returns %v, want %s", c.text, again, c.want)
		}
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	if got, err := jsonread.Object([]byte(`{"a": 1}`)); err != nil || got["a"] != json.Number("1") {
		t.Errorf("the object is %v, %v", got, err)
	}
	for text, want := range map[string]string{
		`[1]`: "a list, not a JSON object", `"x"`: "text, not a JSON object", `1`: "a number, not a JSON object",
		`true`: "a boolean, not a JSON object", `null`: "null, not a JSON object", ``: "empty",
	} {
		if got, err := jsonread.Object([]byte(text)); err == nil || err.Error() != want || got != nil {
			t.Errorf("%s: %v, error %v, want %s", text, got, err, want)
		}
	}
}

// Ordered keeps the order of members, and members of the same name.
func TestOrdered(t *testing.T) {
	t.Parallel()
	got, err := jsonread.Ordered([]byte(`{"b": 1.0, "b": 2, "a": [{"c": null}, {}, []], "b": "x"}`))
	want := jsonread.Members{
		{Name: "b", Value: json.Number("1.0")},
		{Name: "b", Value: json.Number("2")},
		{Name: "a", Value: []any{jsonread.Members{{Name: "c"}}, jsonread.Members{}, []any{}}},
		{Name: "b", Value: "x"},
	}
	if err != nil || !reflect.DeepEqual(got, want) || jsonread.Kind(got) != "an object" {
		t.Errorf("read %#v, %v; want %#v", got, err, want)
	}
}
