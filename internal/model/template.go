package model

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Template is text with placeholders: {name}, {date:%Y/%m}, {scheduled.date-1d}. Expand replaces each placeholder by
// text, and evaluates nothing else. {{ and }} are literal braces. The zero Template is empty text.
type Template struct {
	source string
	parts  []part
}

// part is a placeholder if it has a name, and otherwise literal text.
type part struct {
	literal     string
	placeholder Placeholder
}

// Placeholder is one {…} of a template.
type Placeholder struct {
	Name   string // such as region, object.uri, body.customer.id or scheduled.date
	Offset Offset // zero unless the name begins with scheduled.
	Format string // date format after the colon; "" is none
}

// String returns the placeholder in the form in which a template has it.
func (p Placeholder) String() string {
	text := p.Name + p.Offset.String()
	if p.Format != "" {
		text += ":" + p.Format
	}
	return "{" + text + "}"
}

// Offset moves a scheduled time: -1d, +2h, -30min, -1month. The zero Offset does not move it.
type Offset struct {
	Count int
	Unit  string // d, h, min or month
}

// String returns the offset as a template has it; "" for the zero Offset.
func (o Offset) String() string {
	if o.Unit == "" {
		return ""
	}
	return fmt.Sprintf("%+d%s", o.Count, o.Unit)
}

// Apply returns the moved time. Days and months are calendar units, so they keep the time of day when the clocks
// change. A month that is too short gives its last day: 31 March -1month is 28 February.
func (o Offset) Apply(t time.Time) time.Time {
	switch o.Unit {
	case "d":
		return t.AddDate(0, 0, o.Count)
	case "h":
		return t.Add(time.Duration(o.Count) * time.Hour)
	case "min":
		return t.Add(time.Duration(o.Count) * time.Minute)
	case "month":
		moved := t.AddDate(0, o.Count, 0)
		if moved.Day() != t.Day() { // AddDate went over the end of the month
			moved = moved.AddDate(0, 0, -moved.Day())
		}
		return moved
	}
	return t
}

var (
	placeholderForm = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.-]*?)([+-][0-9]{1,5}(?:d|h|min|month))?(?::(.+))?$`)
	offsetForm      = regexp.MustCompile(`^([+-][0-9]+)([a-z]+)$`)
)

// ParseTemplate parses a template. It returns an error for a brace without its partner, a placeholder of another form
// and a wrong date format. It does not check that the names exist.
func ParseTemplate(text string) (Template, error) {
	t := Template{source: text}
	var literal strings.Builder
	for rest := text; rest != ""; {
		switch i := strings.IndexAny(rest, "{}"); {
		case i < 0:
			literal.WriteString(rest)
			rest = ""
		case strings.HasPrefix(rest[i:], "{{") || strings.HasPrefix(rest[i:], "}}"):
			literal.WriteString(rest[:i+1])
			rest = rest[i+2:]
		case rest[i] == '}':
			return Template{}, fmt.Errorf("a } without its { in %q; a brace itself is written }}", text)
		default:
			end := strings.IndexByte(rest[i:], '}')
			if end < 0 {
				return Template{}, fmt.Errorf("a { without its } in %q; a brace itself is written {{", text)
			}
			p, err := parsePlaceholder(rest[i+1 : i+end])
			if err != nil {
				return Template{}, err
			}
			literal.WriteString(rest[:i])
			t.parts = append(t.literal(&literal), part{placeholder: p})
			rest = rest[i+end+1:]
		}
	}
	t.parts = t.literal(&literal)
	return t, nil
}

// literal returns the template's parts with a text appended, and empties the text.
func (t Template) literal(text *strings.Builder) []part {
	defer text.Reset()
	if text.Len() == 0 {
		return t.parts
	}
	return append(t.parts, part{literal: text.String()})
}

// parsePlaceholder parses the text between the braces.
func parsePlaceholder(text string) (Placeholder, error) {
	m := placeholderForm.FindStringSubmatch(text)
	if m == nil {
		return Placeholder{}, fmt.Errorf("{%s} is not a placeholder; expected {name}, {name:%%Y-%%m-%%d} or {scheduled.date-1d}", text)
	}
	p := Placeholder{Name: m[1], Format: m[3]}
	if m[2] != "" && !strings.HasPrefix(p.Name, "scheduled.") {
		p.Name += m[2] // a name may end like an offset; only scheduled times have one
	} else if o := offsetForm.FindStringSubmatch(m[2]); o != nil {
		count, err := strconv.Atoi(o[1])
		if err != nil {
			return Placeholder{}, fmt.Errorf("{%s}: %w", text, err)
		}
		p.Offset = Offset{Count: count, Unit: o[2]}
	}
	if p.Format != "" {
		if err := CheckFormat(p.Format); err != nil {
			return Placeholder{}, err
		}
	}
	return p, nil
}

// Placeholders returns the template's placeholders, in order.
func (t Template) Placeholders() []Placeholder {
	var all []Placeholder
	for _, p := range t.parts {
		if p.placeholder.Name != "" {
			all = append(all, p.placeholder)
		}
	}
	return all
}

// IsZero reports whether the template is empty text.
func (t Template) IsZero() bool { return t.source == "" }

// String returns the text that ParseTemplate has parsed.
func (t Template) String() string { return t.source }

// Expand replaces each placeholder by the value that lookup returns. The result has type String, except that a
// template with a single placeholder and no other text keeps the type of its value. If lookup does not find a value,
// Expand returns the name of the first such placeholder as absent, and no value.
func (t Template) Expand(lookup func(Placeholder) (Value, bool)) (v Value, absent string) {
	var out strings.Builder
	for _, p := range t.parts {
		if p.placeholder.Name == "" {
			out.WriteString(p.literal)
			continue
		}
		value, found := lookup(p.placeholder)
		if !found {
			return Value{}, p.placeholder.Name
		}
		if value = value.formatted(p.placeholder.Format); len(t.parts) == 1 {
			return value, ""
		}
		out.WriteString(value.Text)
	}
	return Text(out.String()), ""
}

// formatted returns the value as text in a date format. It returns the value unchanged if the format is "" or the
// value is not a date or time.
func (v Value) formatted(format string) Value {
	if format == "" {
		return v
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, v.Text); err == nil {
			return Text(Strftime(format, t))
		}
	}
	return v
}

// MarshalJSON encodes the template as its text.
func (t Template) MarshalJSON() ([]byte, error) { return json.Marshal(t.source) }

// UnmarshalJSON decodes the template from its text. It returns the errors of ParseTemplate.
func (t *Template) UnmarshalJSON(text []byte) error {
	var source string
	if err := json.Unmarshal(text, &source); err != nil {
		return err
	}
	parsed, err := ParseTemplate(source)
	*t = parsed
	return err
}
