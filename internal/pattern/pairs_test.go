package pattern_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// drawer draws pairs of which about every second matches: the event is made of values that the
// pattern takes, then spoilt a little.
type drawer struct {
	*rand.Rand
	ors int // how many more $or the pattern may have: event-ruler's machines grow with their product
}

func (d *drawer) chance(percent int) bool { return d.IntN(100) < percent }

func one[T any](d *drawer, from ...T) T { return from[d.IntN(len(from))] }

// A wanted value: the fields of the pattern, each with a value that matches it.
type wanted struct {
	path  []string
	value any
}

// absent is the value that {"exists": false} wants.
type absent struct{}

func (d *drawer) pair() pair {
	d.ors = d.IntN(3)
	text, wants := d.object(nil, 0)
	event := map[string]any{}
	for _, w := range wants {
		if w.value != (absent{}) {
			put(event, w.path, w.value)
		}
	}
	spoilt := d.arrays(event)
	for range d.IntN(3) * d.IntN(2) {
		spoilt = d.spoil(spoilt)
	}
	if _, ok := spoilt.(map[string]any); !ok {
		spoilt = event
	}
	return pair{Pattern: text, Event: jsonOf(spoilt)}
}

// put sets a value at a path; the last one wins, as in the pattern.
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

// jsonOf writes an event; literal numbers keep their digits.
func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(text)
}

// names are an object's names in a fixed order, so that a seed always draws the same.
func names(o map[string]any) []string { return slices.Sorted(maps.Keys(o)) }

// arrays turns some parts of an event into arrays, and takes some objects apart into two elements.
func (d *drawer) arrays(v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		if d.chance(15) {
			return d.shuffled(v, d.scalar(), []any{d.scalar()})
		}
		return v
	}
	for _, name := range names(o) {
		below := o[name]
		if next := d.arrays(below); d.chance(15) {
			o[name] = d.shuffled(next, d.halves(next)...)
		} else {
			o[name] = next
		}
	}
	return o
}

// shuffled is an array of a value and some of the others.
func (d *drawer) shuffled(v any, others ...any) []any {
	all := append([]any{v}, others[:d.IntN(len(others)+1)]...)
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if d.chance(10) {
		return []any{all}
	}
	return all
}

// halves splits an object's members.
func (d *drawer) halves(v any) []any {
	a, b := map[string]any{}, map[string]any{}
	if o, ok := v.(map[string]any); ok {
		for _, name := range names(o) {
			one(d, a, b)[name] = o[name]
		}
	}
	return []any{a, b}
}

// spoil changes one place of an event: another value, a missing one, or one more.
func (d *drawer) spoil(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		name := one(d, names(v)...)
		switch d.IntN(8) {
		case 0:
			delete(v, name)
		case 1:
			v[d.name(d.IntN(3))] = d.scalar()
		case 2, 3:
		default:
			v[name] = d.spoil(v[name])
		}
		return v
	case []any:
		if len(v) > 0 {
			i := d.IntN(len(v))
			v[i] = d.spoil(v[i])
		}
		return v
	}
	return one(d, d.scalar(), d.scalar(), any(map[string]any{}), any([]any{}))
}

func (d *drawer) name(depth int) string {
	switch depth {
	case 0:
		return one(d, "source", "detail-type", "detail", "resources", "a", "a.b")
	case 1:
		return one(d, "state", "items", "object", "b", "b.c", "size")
	}
	return one(d, "key", "kind", "c", "n", "Ünï")
}

// object draws an object of a pattern, with what it wants of an event.
func (d *drawer) object(path []string, depth int) (string, []wanted) {
	var members []string
	var wants []wanted
	for range 1 + d.IntN(3) {
		name := d.name(depth)
		below := append(path[:len(path):len(path)], name)
		var text string
		var more []wanted
		switch {
		case d.ors > 0 && d.chance(30) && depth < 3:
			name = "$or"
			d.ors--
			text, more = d.or(path, depth)
		case depth < 2 && d.chance(55):
			text, more = d.object(below, depth+1)
		default:
			text, more = d.field(below)
		}
		members = append(members, fmt.Sprintf("%q:%s", name, text))
		wants = append(wants, more...)
	}
	return "{" + strings.Join(members, ",") + "}", wants
}

// or draws a $or; the event gets the values of one of its objects.
func (d *drawer) or(path []string, depth int) (string, []wanted) {
	var branches []string
	var wants []wanted
	for range 2 + d.IntN(2) {
		text, more := d.object(path, depth)
		branches = append(branches, text)
		if wants == nil || d.chance(50) {
			wants = more
		}
	}
	return "[" + strings.Join(branches, ",") + "]", wants
}

func (d *drawer) field(path []string) (string, []wanted) {
	var alternatives []string
	var value any
	for range 1 + d.IntN(3)*d.IntN(2) {
		text, sample := d.alternative()
		alternatives = append(alternatives, text)
		if value == nil || d.chance(50) {
			value = sample
		}
	}
	return "[" + strings.Join(alternatives, ",") + "]", []wanted{{path, value}}
}

// scalar draws a value that has nothing to do with the pattern, or little.
func (d *drawer) scalar() any {
	return one[any](d, d.word(), d.word(), d.number(), d.address(), true, false, nil)
}

// word draws a text of few, similar ones.
func (d *drawer) word() string {
	return one(d, "in/", "out/", "a", "A", "ab", "abc", "ABC", "in/a.csv", "in/b.CSV", ".csv", "*", "a*c", `a\c`, `"`, `a"b`, "",
		"N", "null", "5", "Straße", "STRASSE", "strasse", "Ärger", "ärger", "大雨", "K", "k", "ǅ", "ﬁn", "FIN", "😀", "İ", "i", "ς", "σ", "Σ")
}

// full draws a word that can be a prefix and a suffix.
func (d *drawer) full() string {
	for {
		if w := d.word(); w != "" && w != `"` {
			return w
		}
	}
}

// number draws the digits of a number; many are equal, written otherwise.
func (d *drawer) number() json.Number {
	return one[json.Number](d, "0", "-0", "0.0", "5", "5.0", "5e0", "50E-1", "-5", "300", "3.0e2", "0.1", "0.10", "1e-1", "4.9999", "1e22",
		"5000000000", "123456789012", "9007199254740993", "0.30000000000000004", "0.3000000000000000444", "1e400", "1e-400", "2.5", "-2.5")
}

// comparable draws a number that can stand in a range, as good as always.
func (d *drawer) comparable() json.Number {
	if d.chance(1) {
		return d.number()
	}
	return one[json.Number](d, "0", "-0.0", "5", "5.0", "50E-1", "-5", "300", "3.0e2", "0.1", "4.9999", "1e22", "5000000000", "2.5", "-2.5")
}

func (d *drawer) address() string {
	return one(d, "10.0.0.1", "10.0.0.0", "10.0.0.255", "10.0.1.0", "10.255.0.1", "192.168.1.77", "::1", "0:0:0:0:0:0:0:1", "::ffff:a00:1",
		"2001:db8::1", "2001:DB8:0::1", "a00::1", "a00:1::", "10.0.0", "300.1.1.1", "::ffff:10.0.0.1", "ffff::1", "255.255.255.255", "1::2::3")
}

// alternative draws one entry of a field's array, and a value that it takes.
func (d *drawer) alternative() (string, any) {
	switch d.IntN(24) {
	case 0, 1, 2:
		w := d.word()
		return jsonOf(w), w
	case 3, 4:
		n := d.number()
		return jsonOf(n), one[any](d, n, n, n, d.number())
	case 5:
		return one(d, "true", "null"), one[any](d, true, nil)
	case 6, 7:
		return d.affix()
	case 8, 9:
		return d.ignoreCase()
	case 10, 11, 12:
		return d.anythingBut()
	case 13, 14, 15:
		return d.numeric()
	case 16:
		return `{"exists":true}`, d.scalar()
	case 17, 18:
		return `{"exists":false}`, absent{}
	case 19:
		a := d.address()
		return jsonOf(a), one[any](d, a, a, d.address())
	case 20:
		return fmt.Sprintf(`{"cidr":%q}`, one(d, "10.0.0.0/24", "10.0.0.7/24", "10.0.0.0/8", "10.0.0.0/31", "2001:db8::/32", "a00::/16",
			"::1/127", "::ffff:a00:0/24", "10.0.0.1/30", "192.168.0.0/16")), d.address()
	case 21, 22:
		return d.wildcard()
	}
	if d.chance(10) {
		return d.refused(), d.scalar()
	}
	w := d.word()
	return jsonOf(w), w
}

func (d *drawer) affix() (string, any) {
	w := d.full()
	if d.chance(50) {
		return fmt.Sprintf(`{"prefix":%s}`, jsonOf(w)), w + one(d, "", d.word())
	}
	return fmt.Sprintf(`{"suffix":%s}`, jsonOf(w)), one(d, "", d.word()) + w
}

// anyCase changes the case of a text.
func (d *drawer) anyCase(text string) string {
	return one(d, text, strings.ToUpper(text), strings.ToLower(text))
}

func (d *drawer) ignoreCase() (string, any) {
	w := d.full()
	if w == "😀" {
		w = "x"
	}
	v := d.anyCase(w)
	switch d.IntN(3) {
	case 0:
		return fmt.Sprintf(`{"equals-ignore-case":%s}`, jsonOf(w)), v
	case 1:
		return fmt.Sprintf(`{"prefix":{"equals-ignore-case":%s}}`, jsonOf(w)), v + d.word()
	}
	return fmt.Sprintf(`{"suffix":{"equals-ignore-case":%s}}`, jsonOf(w)), d.word() + v
}

func (d *drawer) anythingBut() (string, any) {
	a, b := d.full(), d.full()
	lists := one(d, jsonOf(a), jsonOf([]string{a}), jsonOf([]string{a, b}))
	switch d.IntN(6) {
	case 0:
		return fmt.Sprintf(`{"anything-but":%s}`, lists), d.scalar()
	case 1:
		n, m := d.comparable(), d.comparable()
		return fmt.Sprintf(`{"anything-but":%s}`, one(d, jsonOf(n), jsonOf([]json.Number{n, m}))), d.scalar()
	case 2:
		if strings.Contains(lists, "😀") {
			lists = `"a"`
		}
		return fmt.Sprintf(`{"anything-but":{"equals-ignore-case":%s}}`, lists), d.scalar()
	case 3:
		star := strings.ReplaceAll(strings.ReplaceAll(lists, `\\`, `\\\\`), "b", "*")
		return fmt.Sprintf(`{"anything-but":{"wildcard":%s}}`, star), d.scalar()
	}
	return fmt.Sprintf(`{"anything-but":{%q:%s}}`, one(d, "prefix", "suffix"), lists), d.scalar()
}

func (d *drawer) numeric() (string, any) {
	low, high := d.comparable(), d.comparable()
	sample := one[any](d, low, high, d.number(), d.number())
	if d.chance(50) {
		return fmt.Sprintf(`{"numeric":[%q,%s]}`, one(d, "=", "<", "<=", ">", ">="), low), sample
	}
	if d.chance(98) {
		low, high = one[json.Number](d, "-5", "0", "0.1", "2.5"), one[json.Number](d, "5", "5.0", "300", "1e22")
		sample = one[any](d, low, high, json.Number("4.9999"), json.Number("3"))
	}
	return fmt.Sprintf(`{"numeric":[%q,%s,%q,%s]}`, one(d, ">", ">="), low, one(d, "<", "<="), high), sample
}

// wildcard cuts stars into a word that stays as it is in the event.
func (d *drawer) wildcard() (string, any) {
	w := d.word() + d.word()
	var star strings.Builder
	for _, r := range w {
		switch {
		case d.chance(25) && !strings.HasSuffix(star.String(), "*"):
			star.WriteString("*")
		case r == '*' || r == '\\':
			star.WriteString(`\` + string(r))
		default:
			star.WriteRune(r)
		}
	}
	return fmt.Sprintf(`{"wildcard":%s}`, jsonOf(star.String())), one(d, w, w+d.word())
}

// refused draws what both must refuse.
func (d *drawer) refused() string {
	return one(d, `{}`, `[]`, `{"prefix":5}`, `{"prefix":"a","suffix":"b"}`, `{"numeric":[]}`, `{"numeric":[">",5,"<",5]}`, `{"numeric":["<",5,">",1]}`,
		`{"numeric":["=","5"]}`, `{"numeric":["~",5]}`, `{"numeric":5}`, `{"numeric":[">",0,"<",5,"<",6]}`, `{"anything-but":[]}`, `{"anything-but":["a",5]}`,
		`{"anything-but":null}`, `{"anything-but":{"prefix":""}}`, `{"anything-but":{"numeric":[">",5]}}`, `{"exists":"true"}`, `{"cidr":5}`,
		`{"cidr":"10.0.0.0/33"}`, `{"cidr":"10.0.0.0"}`, `{"cidr":"x/8"}`, `{"cidr":"10.0.0.0/-1"}`, `{"cidr":"10.0.0.0/32"}`, `{"cidr":"::1/128"}`,
		`{"wildcard":"a**b"}`, `{"wildcard":"a\\b"}`, `{"wildcard":"a\\"}`, `{"wildcard":5}`, `{"equals-ignore-case":["a"]}`, `{"contains":"a"}`,
		`{"prefix":{"suffix":"a"}}`, `{"suffix":{"equals-ignore-case":5}}`, `{"anything-but":{"wildcard":"**"}}`, `{"numeric":["=",1e400]}`)
}
