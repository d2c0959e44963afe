package pattern

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// operators are those of EventBridge.
func operators() []string {
	return []string{"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}
}

// reserved names are no field names inside $or: there, one is an operator in the wrong place.
func reserved(name string) bool {
	return slices.Contains(operators(), name) || slices.Contains([]string{
		"exactly", "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
		"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
		"ip-address-in-range", "ip-address-not-in-range",
	}, name)
}

// isAbsent tells {"exists": false}, which is about a field rather than a value of it.
func isAbsent(a any) bool {
	o, ok := a.(object)
	return ok && len(o) == 1 && o[0] == member{"exists", false}
}

// alternative compiles one entry of a field's array.
func alternative(path string, a any) (matcher, error) {
	switch a := a.(type) {
	case string:
		if address, ok := parseAddress(a); ok {
			return oneAddress(address), nil
		}
		return exactString(a), nil
	case object:
		if len(a) != 1 {
			return nil, wrong(path, "an operator has one key, and this has %d; alternatives are separate: [{…}, {…}]", len(a))
		}
		return operator(path, a[0].name, a[0].value)
	case []any:
		return nil, wrong(path, "an array in an array is not allowed; one array lists all alternatives")
	}
	return exactScalar{scalar(a)}, nil
}

func operator(path, name string, v any) (matcher, error) {
	switch name {
	case "prefix", "suffix":
		return affix(path, name, v)
	case "equals-ignore-case", "wildcard":
		return textOperator(path, name, v)
	case "anything-but":
		return parseAnythingBut(path, v)
	case "numeric":
		return parseNumeric(path, v)
	case "exists":
		if v != true {
			return nil, wrong(path, `"exists" wants true or false, not %s`, jsonText(v))
		}
		return exists{}, nil
	case "cidr":
		text, ok := v.(string)
		if !ok {
			return nil, wrong(path, `"cidr" wants a string such as "10.0.0.0/24", not %s`, jsonText(v))
		}
		r, err := parseCIDR(text)
		if err != nil {
			return nil, wrong(path, `"cidr" %q: %s`, text, err)
		}
		return r, nil
	}
	return nil, wrong(path, "unknown operator %q%s", name, instead(name))
}

// textOperator compiles the operators that want a string, bare ones.
func textOperator(path, name string, v any) (matcher, error) {
	text, ok := v.(string)
	if !ok {
		return nil, wrong(path, "%q wants a string, not %s", name, jsonText(v))
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
		return nil, wrong(path, `"wildcard" %q: %s`, text, err)
	}
	return wildcard{g}, nil
}

// affix compiles prefix and suffix, with or without equals-ignore-case inside.
func affix(path, name string, v any) (matcher, error) {
	o, nested := v.(object)
	if !nested {
		return textOperator(path, name, v)
	}
	if len(o) != 1 || o[0].name != "equals-ignore-case" {
		return nil, wrong(path, `%q wants a string, or {"equals-ignore-case": "…"}, not %s`, name, jsonText(v))
	}
	text, ok := o[0].value.(string)
	if !ok {
		return nil, wrong(path, `%q: "equals-ignore-case" wants a string, not %s`, name, jsonText(o[0].value))
	}
	if name == "prefix" {
		return prefixIgnoreCase{fold(text)}, nil
	}
	return suffixIgnoreCase{fold(text)}, nil
}

// parseAnythingBut compiles a value, a list of values of one type, or an operator with a string or
// a list of strings.
func parseAnythingBut(path string, v any) (matcher, error) {
	if o, ok := v.(object); ok {
		return anythingButOperator(path, o)
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
				return nil, wrong(path, `"anything-but" %s: %s`, v, tooPrecise)
			}
			but = append(but, exactScalar{number})
		default:
			return nil, wrong(path, `"anything-but" wants strings or numbers, not %s`, jsonText(v))
		}
	}
	if len(kinds) != 1 {
		return nil, wrong(path, `"anything-but" wants strings only or numbers only, at least one`)
	}
	return but, nil
}

const tooPrecise = "cannot be compared; a number has at most 17 digits and fits in a float64"

func anythingButOperator(path string, o object) (matcher, error) {
	names := []string{"prefix", "suffix", "equals-ignore-case", "wildcard"}
	if len(o) != 1 || !slices.Contains(names, o[0].name) {
		return nil, wrong(path, `"anything-but" takes one of %s, not %s`, strings.Join(names, ", "), jsonText(o))
	}
	name := o[0].name
	texts, ok := o[0].value.([]any)
	if !ok {
		texts = []any{o[0].value}
	}
	if len(texts) == 0 {
		return nil, wrong(path, `"anything-but": %q wants at least one string`, name)
	}
	var but anythingBut
	for _, text := range texts {
		m, err := textOperator(path, name, text)
		if err != nil {
			return nil, err
		}
		if text == "" && (name == "prefix" || name == "suffix") {
			return nil, wrong(path, `"anything-but": an empty %s excludes every string`, name)
		}
		but = append(but, m)
	}
	return but, nil
}

// parseNumeric compiles ["=", n], [">", n], ["<=", n], … and [">", n, "<=", m].
func parseNumeric(path string, v any) (matcher, error) {
	parts, ok := v.([]any)
	if !ok || len(parts) != 2 && len(parts) != 4 {
		return nil, wrong(path, `"numeric" wants ["=", 5], [">", 0] or [">", 0, "<=", 5], not %s`, jsonText(v))
	}
	m := numeric{low: math.Inf(-1), high: math.Inf(1)}
	for i := 0; i < len(parts); i += 2 {
		sign, _ := parts[i].(string)
		number, isNumber := parts[i+1].(json.Number)
		if !isNumber {
			return nil, wrong(path, `"numeric" wants a number after %s, not %s`, jsonText(parts[i]), jsonText(parts[i+1]))
		}
		n, ok := parseNumber(number.String())
		if !ok {
			return nil, wrong(path, `"numeric" %s: %s`, number, tooPrecise)
		}
		if err := m.bound(path, parts[i], sign, n, i/2, len(parts) == 4); err != nil {
			return nil, err
		}
		m.text += fmt.Sprintf("%s %s and ", sign, number)
	}
	m.text = strings.TrimSuffix(m.text, " and ")
	if len(parts) == 4 && m.low >= m.high {
		return nil, wrong(path, `"numeric" %s: the lower bound must be below the upper`, jsonText(v))
	}
	return m, nil
}

// bound sets one end of the range. EventBridge wants the lower end first.
func (m *numeric) bound(path string, given any, sign string, n float64, position int, pair bool) error {
	switch {
	case sign == "=" && !pair:
		m.low, m.high = n, n
	case (sign == ">" || sign == ">=") && position == 0:
		m.low, m.openLow = n, sign == ">"
	case (sign == "<" || sign == "<=") && (position == 1 || !pair):
		m.high, m.openHigh = n, sign == "<"
	case pair:
		return wrong(path, `"numeric" wants > or >= first, then < or <=: [">", 0, "<=", 5]`)
	default:
		return wrong(path, `"numeric" wants one of = > >= < <=, not %s`, jsonText(given))
	}
	return nil
}

// instead says what an unknown operator should have been.
func instead(name string) string {
	switch strings.ToLower(name) {
	case "exactly", "equals", "equal", "eq", "is", "in":
		return `; a value stands by itself: ["a", "b"]`
	case "contains", "regex", "matches", "like", "glob":
		return `; {"wildcard": "*text*"} finds text anywhere`
	case "not", "not-in", "not-equals":
		return `; {"anything-but": …} excludes values`
	case ">", ">=", "<", "<=", "=", "between":
		return `; numbers are compared with {"numeric": [">", 0, "<=", 5]}`
	case "starts-with", "startswith":
		return `; did you mean "prefix"?`
	case "ends-with", "endswith":
		return `; did you mean "suffix"?`
	}
	best, distance := "", len(name)/3+2
	for _, known := range operators() {
		if d := editDistance(strings.ToLower(name), known); d < distance {
			best, distance = known, d
		}
	}
	if best == "" {
		return "; there are " + strings.Join(operators(), ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is how many characters must be added, removed or changed between two words.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// jsonText is a part of the pattern as JSON, shortened for people.
func jsonText(v any) string {
	text := writeJSON(v)
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

func writeJSON(v any) string {
	var parts []string
	switch v := v.(type) {
	case object:
		for _, m := range v {
			parts = append(parts, writeJSON(m.name)+": "+writeJSON(m.value))
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
