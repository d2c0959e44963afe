package pattern

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"modeldispatch/internal/similar"
)

// operators returns the names of the operators of EventBridge.
func operators() []string {
	return []string{"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}
}

// isReserved reports whether EventBridge rejects a field of this name inside $or. It assumes that
// such a field is a misplaced operator.
func isReserved(name string) bool {
	return slices.Contains(operators(), name) || slices.Contains([]string{
		"exactly", "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
		"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
		"ip-address-in-range", "ip-address-not-in-range",
	}, name)
}

// isExistsFalse reports whether an alternative is {"exists": false}. This alternative matches the
// absence of a field, and therefore no value.
func isExistsFalse(a any) bool {
	o, ok := a.(object)
	return ok && len(o) == 1 && o[0] == member{Name: "exists", Value: false}
}

// parseAlternative compiles one entry of a field's array.
func parseAlternative(path string, a any) (matcher, error) {
	switch a := a.(type) {
	case string:
		if address, ok := parseAddress(a); ok {
			return singleAddress(address), nil
		}
		return exactString(a), nil
	case object:
		if len(a) != 1 {
			return nil, errorAt(path, "an operator has exactly one key, not %d; write each alternative as its own object: [{…}, {…}]", len(a))
		}
		return parseOperator(path, a[0].Name, a[0].Value)
	case []any:
		return nil, errorAt(path, "an array in an array is not allowed; list all alternatives in one array")
	}
	return exactScalar{scalar(a)}, nil
}

// parseOperator compiles the operator with this name and value.
func parseOperator(path, name string, v any) (matcher, error) {
	switch name {
	case "prefix", "suffix":
		return parseAffix(path, name, v)
	case "equals-ignore-case", "wildcard":
		return parseTextOperator(path, name, v)
	case "anything-but":
		return parseAnythingBut(path, v)
	case "numeric":
		return parseNumeric(path, v)
	case "exists":
		if v != true {
			return nil, errorAt(path, `"exists" must be true or false, not %s`, jsonText(v))
		}
		return exists{}, nil
	case "cidr":
		text, ok := v.(string)
		if !ok {
			return nil, errorAt(path, `"cidr" must be a string such as "10.0.0.0/24", not %s`, jsonText(v))
		}
		r, err := parseCIDR(text)
		if err != nil {
			return nil, errorAt(path, `"cidr" %q: %s`, text, err)
		}
		return r, nil
	}
	return nil, errorAt(path, "unknown operator %q%s", name, suggestion(name))
}

// parseTextOperator compiles an operator whose value is a plain string.
func parseTextOperator(path, name string, v any) (matcher, error) {
	text, ok := v.(string)
	if !ok {
		return nil, errorAt(path, "%q must be a string, not %s", name, jsonText(v))
	}
	switch name {
	case "prefix":
		return prefix(text), nil
	case "suffix":
		return suffix(text), nil
	case "equals-ignore-case":
		return equalsIgnoreCase{fold(text)}, nil
	}
	g, err := parseGlob(text)
	if err != nil {
		return nil, errorAt(path, `"wildcard" %q: %s`, text, err)
	}
	return wildcard{g}, nil
}

// parseAffix compiles prefix and suffix. Their value is a string or an equals-ignore-case object.
func parseAffix(path, name string, v any) (matcher, error) {
	o, nested := v.(object)
	if !nested {
		return parseTextOperator(path, name, v)
	}
	if len(o) != 1 || o[0].Name != "equals-ignore-case" {
		return nil, errorAt(path, `%q must be a string or {"equals-ignore-case": "…"}, not %s`, name, jsonText(v))
	}
	text, ok := o[0].Value.(string)
	if !ok {
		return nil, errorAt(path, `%q: "equals-ignore-case" must be a string, not %s`, name, jsonText(o[0].Value))
	}
	if name == "prefix" {
		return prefixIgnoreCase{fold(text)}, nil
	}
	return suffixIgnoreCase{fold(text)}, nil
}

// parseAnythingBut compiles the value of anything-but: a string or a number, a list of only strings or
// only numbers, or an operator with a string or a list of strings.
func parseAnythingBut(path string, v any) (matcher, error) {
	if o, ok := v.(object); ok {
		return parseAnythingButOperator(path, o)
	}
	values, ok := v.([]any)
	if !ok {
		values = []any{v}
	}
	var but anythingBut
	kinds := map[string]bool{}
	for _, v := range values {
		switch v := v.(type) {
		case string:
			kinds["string"] = true
			but = append(but, exactString(v))
		case json.Number:
			kinds["number"] = true
			number := scalar(v)
			if !number.numeric {
				return nil, errorAt(path, `"anything-but" %s: %s`, v, tooPrecise)
			}
			but = append(but, exactScalar{number})
		default:
			return nil, errorAt(path, `"anything-but" takes strings or numbers, not %s`, jsonText(v))
		}
	}
	if len(kinds) != 1 {
		return nil, errorAt(path, `"anything-but" needs at least one value, and only strings or only numbers`)
	}
	return but, nil
}

const tooPrecise = "cannot be compared exactly; write at most 17 digits, within the range of a float64"

// parseAnythingButOperator compiles the operator inside anything-but.
func parseAnythingButOperator(path string, o object) (matcher, error) {
	names := []string{"prefix", "suffix", "equals-ignore-case", "wildcard"}
	if len(o) != 1 || !slices.Contains(names, o[0].Name) {
		return nil, errorAt(path, `"anything-but" takes one of the operators %s, not %s`, strings.Join(names, ", "), jsonText(o))
	}
	name := o[0].Name
	texts, ok := o[0].Value.([]any)
	if !ok {
		texts = []any{o[0].Value}
	}
	if len(texts) == 0 {
		return nil, errorAt(path, `"anything-but": %q needs at least one string`, name)
	}
	var but anythingBut
	for _, text := range texts {
		m, err := parseTextOperator(path, name, text)
		if err != nil {
			return nil, err
		}
		if text == "" && (name == "prefix" || name == "suffix") {
			return nil, errorAt(path, `"anything-but": an empty %s excludes every string`, name)
		}
		but = append(but, m)
	}
	return but, nil
}

// parseNumeric compiles the value of numeric, such as ["=", n], [">", n] or [">", n, "<=", m].
func parseNumeric(path string, v any) (matcher, error) {
	parts, ok := v.([]any)
	if !ok || len(parts) != 2 && len(parts) != 4 {
		return nil, errorAt(path, `"numeric" must be ["=", 5], [">", 0] or [">", 0, "<=", 5], not %s`, jsonText(v))
	}
	m := numeric{low: math.Inf(-1), high: math.Inf(1)}
	for i := 0; i < len(parts); i += 2 {
		sign, _ := parts[i].(string)
		number, isNumber := parts[i+1].(json.Number)
		if !isNumber {
			return nil, errorAt(path, `"numeric" needs a number after %s, not %s`, jsonText(parts[i]), jsonText(parts[i+1]))
		}
		n, ok := parseNumber(number.String())
		if !ok {
			return nil, errorAt(path, `"numeric" %s: %s`, number, tooPrecise)
		}
		if err := m.setBound(path, parts[i], sign, n, i/2, len(parts) == 4); err != nil {
			return nil, err
		}
		m.text += fmt.Sprintf("%s %s and ", sign, number)
	}
	m.text = strings.TrimSuffix(m.text, " and ")
	if len(parts) == 4 && m.low >= m.high {
		return nil, errorAt(path, `"numeric" %s: the lower bound must be below the upper bound`, jsonText(v))
	}
	return m, nil
}

// setBound sets one bound of the range, or both for "=". The position is 0 for the first bound and 1
// for the second; pair reports that there are two. EventBridge requires the lower bound first.
func (m *numeric) setBound(path string, given any, sign string, n float64, position int, pair bool) error {
	switch {
	case sign == "=" && !pair:
		m.low, m.high = n, n
	case (sign == ">" || sign == ">=") && position == 0:
		m.low, m.openLow = n, sign == ">"
	case (sign == "<" || sign == "<=") && (position == 1 || !pair):
		m.high, m.openHigh = n, sign == "<"
	case pair:
		return errorAt(path, `"numeric" needs > or >= first, then < or <=: [">", 0, "<=", 5]`)
	default:
		return errorAt(path, `"numeric" needs one of = > >= < <=, not %s`, jsonText(given))
	}
	return nil
}

// suggestion returns the end of an error about an unknown operator: the operator that the author most
// likely meant.
func suggestion(name string) string {
	switch strings.ToLower(name) {
	case "exactly", "equals", "equal", "eq", "is", "in":
		return `; write a value without an operator: ["a", "b"]`
	case "contains", "regex", "matches", "like", "glob":
		return `; {"wildcard": "*text*"} finds a text at any position`
	case "not", "not-in", "not-equals":
		return `; {"anything-but": …} excludes values`
	case ">", ">=", "<", "<=", "=", "between":
		return `; {"numeric": [">", 0, "<=", 5]} compares numbers`
	case "starts-with", "startswith":
		return `; did you mean "prefix"?`
	case "ends-with", "endswith":
		return `; did you mean "suffix"?`
	}
	if near := similar.Nearest(strings.ToLower(name), operators()); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; the operators are " + strings.Join(operators(), ", ")
}

// jsonText returns a part of the pattern as JSON, cut to 60 characters for messages.
func jsonText(v any) string {
	text := writeJSON(v)
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// writeJSON returns a part of the pattern as JSON, with its members in their original order.
func writeJSON(v any) string {
	var parts []string
	switch v := v.(type) {
	case object:
		for _, m := range v {
			parts = append(parts, writeJSON(m.Name)+": "+writeJSON(m.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		for _, e := range v {
			parts = append(parts, writeJSON(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return fmt.Sprintf("%q", v)
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}
