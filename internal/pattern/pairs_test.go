package pattern_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A generator draws random pairs. About half of them match: the generator builds the event from values
// that the pattern accepts, and then changes it a little.
type generator struct {
	*rand.Rand
	ors int // the number of $or that the pattern may still get: event-ruler's machines grow with their product
}

// chance returns true with the given probability in percent.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// one returns one of the values.
func one[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// A sample is a value that the field at the path accepts.
type sample struct {
	path  []string
	value any
}

// absent is the sample value of {"exists": false}.
type absent struct{}

// pair draws a pattern and an event.
func (g *generator) pair() pair {
	g.ors = g.IntN(3)
	text, samples := g.object(nil, 0)
	event := map[string]any{}
	for _, s := range samples {
		if s.value != (absent{}) {
			put(event, s.path, s.value)
		}
	}
	changed := g.arrays(event)
	for range g.IntN(3) * g.IntN(2) {
		changed = g.mutate(changed)
	}
	if _, ok := changed.(map[string]any); !ok {
		changed = event
	}
	return pair{Pattern: text, Event: jsonOf(changed)}
}

// put sets the value at a path. It replaces an earlier value, as in the pattern.
func put(o map[string]any, path []string, v any) {
	if len(path) == 1 {
		o[path[0]] = v
		return
	}
	below, ok := o[path[0]].(map[string]any)
	if !ok {
		below = map[string]any{}
		o[path[0]] = below
	}
	put(below, path[1:], v)
}

// jsonOf returns an event as JSON. A json.Number keeps its digits.
func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(text)
}

// names returns the names of an object in a fixed order, so that a seed always gives the same pairs.
func names(o map[string]any) []string { return slices.Sorted(maps.Keys(o)) }

// arrays turns some parts of an event into arrays, and splits some objects into two elements.
func (g *generator) arrays(v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		if g.chance(15) {
			return g.shuffled(v, g.scalar(), []any{g.scalar()})
		}
		return v
	}
	for _, name := range names(o) {
		below := o[name]
		if next := g.arrays(below); g.chance(15) {
			o[name] = g.shuffled(next, g.halves(next)...)
		} else {
			o[name] = next
		}
	}
	return o
}

// shuffled returns an array of a value and some of the others, in random order.
func (g *generator) shuffled(v any, others ...any) []any {
	all := append([]any{v}, others[:g.IntN(len(others)+1)]...)
	g.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if g.chance(10) {
		return []any{all}
	}
	return all
}

// halves distributes the members of an object over two objects.
func (g *generator) halves(v any) []any {
	a, b := map[string]any{}, map[string]any{}
	if o, ok := v.(map[string]any); ok {
		for _, name := range names(o) {
			one(g, a, b)[name] = o[name]
		}
	}
	return []any{a, b}
}

// mutate makes one change to an event: it replaces, removes or adds a value.
func (g *generator) mutate(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		name := one(g, names(v)...)
		switch g.IntN(8) {
		case 0:
			delete(v, name)
		case 1:
			v[g.name(g.IntN(3))] = g.scalar()
		case 2, 3:
		default:
			v[name] = g.mutate(v[name])
		}
		return v
	case []any:
		if len(v) > 0 {
			i := g.IntN(len(v))
			v[i] = g.mutate(v[i])
		}
		return v
	}
	return one(g, g.scalar(), g.scalar(), any(map[string]any{}), any([]any{}))
}

// name draws a name for a member at this depth.
func (g *generator) name(depth int) string {
	switch depth {
	case 0:
		return one(g, "source", "detail-type", "detail", "resources", "a", "a.b")
	case 1:
		return one(g, "state", "items", "object", "b", "b.c", "size")
	}
	return one(g, "key", "kind", "c", "n", "Ünï")
}

// object draws an object of a pattern, and returns samples for its fields.
func (g *generator) object(path []string, depth int) (string, []sample) {
	var members []string
	var samples []sample
	for range 1 + g.IntN(3) {
		name := g.name(depth)
		below := append(path[:len(path):len(path)], name)
		var text string
		var more []sample
		switch {
		case g.ors > 0 && g.chance(30) && depth < 3:
			name = "$or"
			g.ors--
			text, more = g.or(path, depth)
		case depth < 2 && g.chance(55):
			text, more = g.object(below, depth+1)
		default:
			text, more = g.field(below)
		}
		members = append(members, fmt.Sprintf("%q:%s", name, text))
		samples = append(samples, more...)
	}
	return "{" + strings.Join(members, ",") + "}", samples
}

// or draws a $or, and returns samples for one of its objects.
func (g *generator) or(path []string, depth int) (string, []sample) {
	var branches []string
	var samples []sample
	for range 2 + g.IntN(2) {
		text, more := g.object(path, depth)
		branches = append(branches, text)
		if samples == nil || g.chance(50) {
			samples = more
		}
	}
	return "[" + strings.Join(branches, ",") + "]", samples
}

// field draws the alternatives of a field, and returns a sample for one of them.
func (g *generator) field(path []string) (string, []sample) {
	var alternatives []string
	var value any
	for range 1 + g.IntN(3)*g.IntN(2) {
		text, accepted := g.alternative()
		alternatives = append(alternatives, text)
		if value == nil || g.chance(50) {
			value = accepted
		}
	}
	return "[" + strings.Join(alternatives, ",") + "]", []sample{{path, value}}
}

// scalar draws a value without regard to the pattern.
func (g *generator) scalar() any {
	return one[any](g, g.word(), g.word(), g.number(), g.address(), true, false, nil)
}

// word draws a text from a few similar ones.
func (g *generator) word() string {
	return one(g, "in/", "out/", "a", "A", "ab", "abc", "ABC", "in/a.csv", "in/b.CSV", ".csv", "*", "a*c", `a\c`, `"`, `a"b`, "",
		"N", "null", "5", "Straße", "STRASSE", "strasse", "Ärger", "ärger", "大雨", "K", "k", "ǅ", "ﬁn", "FIN",
		"😀", "İ", "i", "ς", "σ", "Σ")
}

// affixText draws a word that can be a prefix or a suffix.
func (g *generator) affixText() string {
	for {
		if w := g.word(); w != "" && w != `"` {
			return w
		}
	}
}

// number draws the digits of a number. Many of them are different spellings of the same number.
func (g *generator) number() json.Number {
	return one[json.Number](g, "0", "-0", "0.0", "5", "5.0", "5e0", "50E-1", "-5", "300", "3.0e2", "0.1", "0.10", "1e-1", "4.9999", "1e22",
		"5000000000", "123456789012", "9007199254740993", "0.30000000000000004", "0.3000000000000000444", "1e400", "1e-400", "2.5", "-2.5")
}

// comparable draws a number that nearly always can be the bound of a range.
func (g *generator) comparable() json.Number {
	if g.chance(1) {
		return g.number()
	}
	return one[json.Number](g, "0", "-0.0", "5", "5.0", "50E-1", "-5", "300", "3.0e2", "0.1", "4.9999", "1e22", "5000000000", "2.5", "-2.5")
}

// address draws an IP address, or a text that looks like one.
func (g *generator) address() string {
	return one(g, "10.0.0.1", "10.0.0.0", "10.0.0.255", "10.0.1.0", "10.255.0.1", "192.168.1.77", "::1", "0:0:0:0:0:0:0:1", "::ffff:a00:1",
		"2001:db8::1", "2001:DB8:0::1", "a00::1", "a00:1::", "10.0.0", "300.1.1.1", "::ffff:10.0.0.1", "ffff::1", "255.255.255.255", "1::2::3")
}

// alternative draws one entry of a field's array. It also returns a value that the entry often accepts.
func (g *generator) alternative() (string, any) {
	switch g.IntN(24) {
	case 0, 1, 2:
		w := g.word()
		return jsonOf(w), w
	case 3, 4:
		n := g.number()
		return jsonOf(n), one[any](g, n, n, n, g.number())
	case 5:
		return one(g, "true", "null"), one[any](g, true, nil)
	case 6, 7:
		return g.affix()
	case 8, 9:
		return g.ignoreCase()
	case 10, 11, 12:
		return g.anythingBut()
	case 13, 14, 15:
		return g.numeric()
	case 16:
		return `{"exists":true}`, g.scalar()
	case 17, 18:
		return `{"exists":false}`, absent{}
	case 19:
		a := g.address()
		return jsonOf(a), one[any](g, a, a, g.address())
	case 20:
		return fmt.Sprintf(`{"cidr":%q}`, one(g, "10.0.0.0/24", "10.0.0.7/24", "10.0.0.0/8", "10.0.0.0/31", "2001:db8::/32", "a00::/16",
			"::1/127", "::ffff:a00:0/24", "10.0.0.1/30", "192.168.0.0/16")), g.address()
	case 21, 22:
		return g.wildcard()
	}
	if g.chance(10) {
		return g.invalid(), g.scalar()
	}
	w := g.word()
	return jsonOf(w), w
}

// affix draws a prefix or a suffix, and a string that matches it.
func (g *generator) affix() (string, any) {
	w := g.affixText()
	if g.chance(50) {
		return fmt.Sprintf(`{"prefix":%s}`, jsonOf(w)), w + one(g, "", g.word())
	}
	return fmt.Sprintf(`{"suffix":%s}`, jsonOf(w)), one(g, "", g.word()) + w
}

// anyCase returns a text as it is, in upper case or in lower case.
func (g *generator) anyCase(text string) string {
	return one(g, text, strings.ToUpper(text), strings.ToLower(text))
}

// ignoreCase draws an operator that ignores case, and a string that mostly matches it.
func (g *generator) ignoreCase() (string, any) {
	w := g.affixText()
	if w == "😀" {
		w = "x"
	}
	v := g.anyCase(w)
	switch g.IntN(3) {
	case 0:
		return fmt.Sprintf(`{"equals-ignore-case":%s}`, jsonOf(w)), v
	case 1:
		return fmt.Sprintf(`{"prefix":{"equals-ignore-case":%s}}`, jsonOf(w)), v + g.word()
	}
	return fmt.Sprintf(`{"suffix":{"equals-ignore-case":%s}}`, jsonOf(w)), g.word() + v
}

// anythingBut draws an anything-but, and any value.
func (g *generator) anythingBut() (string, any) {
	a, b := g.affixText(), g.affixText()
	lists := one(g, jsonOf(a), jsonOf([]string{a}), jsonOf([]string{a, b}))
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf(`{"anything-but":%s}`, lists), g.scalar()
	case 1:
		n, m := g.comparable(), g.comparable()
		return fmt.Sprintf(`{"anything-but":%s}`, one(g, jsonOf(n), jsonOf([]json.Number{n, m}))), g.scalar()
	case 2:
		if strings.Contains(lists, "😀") {
			lists = `"a"`
		}
		return fmt.Sprintf(`{"anything-but":{"equals-ignore-case":%s}}`, lists), g.scalar()
	case 3:
		star := strings.ReplaceAll(strings.ReplaceAll(lists, `\\`, `\\\\`), "b", "*")
		return fmt.Sprintf(`{"anything-but":{"wildcard":%s}}`, star), g.scalar()
	}
	return fmt.Sprintf(`{"anything-but":{%q:%s}}`, one(g, "prefix", "suffix"), lists), g.scalar()
}

// numeric draws a numeric operator, and a number near its bounds.
func (g *generator) numeric() (string, any) {
	low, high := g.comparable(), g.comparable()
	near := one[any](g, low, high, g.number(), g.number())
	if g.chance(50) {
		return fmt.Sprintf(`{"numeric":[%q,%s]}`, one(g, "=", "<", "<=", ">", ">="), low), near
	}
	if g.chance(98) {
		low, high = one[json.Number](g, "-5", "0", "0.1", "2.5"), one[json.Number](g, "5", "5.0", "300", "1e22")
		near = one[any](g, low, high, json.Number("4.9999"), json.Number("3"))
	}
	return fmt.Sprintf(`{"numeric":[%q,%s,%q,%s]}`, one(g, ">", ">="), low, one(g, "<", "<="), high), near
}

// wildcard replaces parts of a text by stars, and returns a string that mostly matches the result.
func (g *generator) wildcard() (string, any) {
	w := g.word() + g.word()
	var star strings.Builder
	for _, r := range w {
		switch {
		case g.chance(25) && !strings.HasSuffix(star.String(), "*"):
			star.WriteString("*")
		case r == '*' || r == '\\':
			star.WriteString(`\` + string(r))
		default:
			star.WriteRune(r)
		}
	}
	return fmt.Sprintf(`{"wildcard":%s}`, jsonOf(star.String())), one(g, w, w+g.word())
}

// invalid draws an alternative that this package and event-ruler must both reject.
func (g *generator) invalid() string {
	return one(g, `{}`, `[]`, `{"prefix":5}`, `{"prefix":"a","suffix":"b"}`, `{"numeric":[]}`,
		`{"numeric":[">",5,"<",5]}`, `{"numeric":["<",5,">",1]}`, `{"numeric":["=","5"]}`, `{"numeric":["~",5]}`,
		`{"numeric":5}`, `{"numeric":[">",0,"<",5,"<",6]}`, `{"anything-but":[]}`, `{"anything-but":["a",5]}`,
		`{"anything-but":null}`, `{"anything-but":{"prefix":""}}`, `{"anything-but":{"numeric":[">",5]}}`,
		`{"exists":"true"}`, `{"cidr":5}`, `{"cidr":"10.0.0.0/33"}`, `{"cidr":"10.0.0.0"}`, `{"cidr":"x/8"}`,
		`{"cidr":"10.0.0.0/-1"}`, `{"cidr":"10.0.0.0/32"}`, `{"cidr":"::1/128"}`, `{"wildcard":"a**b"}`,
		`{"wildcard":"a\\b"}`, `{"wildcard":"a\\"}`, `{"wildcard":5}`, `{"equals-ignore-case":["a"]}`,
		`{"contains":"a"}`, `{"prefix":{"suffix":"a"}}`, `{"suffix":{"equals-ignore-case":5}}`,
		`{"anything-but":{"wildcard":"**"}}`, `{"numeric":["=",1e400]}`)
}
