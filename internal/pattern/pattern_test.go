package pattern_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/pattern"
)

func compile(t testing.TB, text string) pattern.Pattern {
	t.Helper()
	p, err := pattern.Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decode(t testing.TB, text string) any {
	t.Helper()
	event, err := jsonread.Value([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// operatorTests lists alternatives, each with values that they accept and values that they do not accept.
var operatorTests = []struct {
	alternatives string
	accepts, not []string
}{
	// values
	{`["a"]`, []string{`"a"`, `["b","a"]`, `[["a"]]`}, []string{`"A"`, `"ab"`, `""`, `null`, `5`, `[]`, `{}`, `{"y":"a"}`}},
	{`["a","b"]`, []string{`"a"`, `"b"`}, []string{`"c"`}},
	{`[""]`, []string{`""`}, []string{`" "`, `null`}},
	{`[null]`, []string{`null`, `["a",null]`}, []string{`"null"`, `""`, `false`, `[]`}},
	{`[true]`, []string{`true`}, []string{`false`, `"true"`, `1`}},
	{`[300]`, []string{`300`, `300.0`, `3.0e2`, `3000E-1`}, []string{`"300"`, `300.1`, `-300`}},
	{`[0]`, []string{`0`, `-0`, `0.0`, `0e5`}, []string{`null`, `false`, `1e-400`}},
	{`[9007199254740993]`, []string{`9007199254740993`}, []string{`9007199254740992`, `9007199254740993.0`}},
	{`[1e400]`, []string{`1e400`}, []string{`1E400`, `1e401`}},
	// prefix and suffix
	{`[{"prefix":"in/"}]`, []string{`"in/"`, `"in/a"`}, []string{`"In/"`, `"in"`, `"a/in/"`, `5`}},
	{`[{"prefix":"1"}]`, []string{`"12"`}, []string{`12`}},
	{`[{"prefix":""}]`, []string{`""`, `"a"`}, []string{`5`, `null`, `true`}},
	{`[{"suffix":".csv"}]`, []string{`".csv"`, `"a.csv"`}, []string{`"a.CSV"`, `"a.csv.gz"`}},
	{`[{"suffix":"雨"}]`, []string{`"大雨"`}, []string{`"雨大"`}},
	{`[{"prefix":{"equals-ignore-case":"IN/"}}]`, []string{`"in/a"`, `"In/"`}, []string{`"out/in/"`, `"i"`}},
	{`[{"suffix":{"equals-ignore-case":".Csv"}}]`, []string{`"a.CSV"`, `"a.csv"`}, []string{`"a.csv "`}},
	// equals-ignore-case
	{`[{"equals-ignore-case":"straße"}]`, []string{`"STRAßE"`, `"STRASSE"`, `"Straße"`}, []string{`"strasse"`, `"STRASSE "`, `5`}},
	{`[{"equals-ignore-case":"Ärger"}]`, []string{`"ärger"`, `"ÄRGER"`}, []string{`"arger"`}},
	{`[{"equals-ignore-case":"ﬁn"}]`, []string{`"FIN"`, `"ﬁN"`}, []string{`"fin"`}},
	{`[{"equals-ignore-case":"😀a"}]`, []string{`"😀A"`}, []string{`"??A"`}},
	// anything-but
	{`[{"anything-but":"a"}]`, []string{`"b"`, `5`, `null`, `["a","b"]`}, []string{`"a"`, `["a","a"]`, `[]`, `{}`}},
	{`[{"anything-but":["a","b"]}]`, []string{`"c"`}, []string{`"a"`, `"b"`}},
	{`[{"anything-but":5}]`, []string{`"5"`, `6`, `true`}, []string{`5`, `5.0`, `0.5e1`}},
	{`[{"anything-but":[5,6]}]`, []string{`7`}, []string{`5`, `6.0`}},
	{`[{"anything-but":{"prefix":"in/"}}]`, []string{`"out/"`, `5`}, []string{`"in/a"`}},
	{`[{"anything-but":{"prefix":["in/","tmp/"]}}]`, []string{`"out/"`}, []string{`"in/a"`, `"tmp/a"`}},
	{`[{"anything-but":{"suffix":".tmp"}}]`, []string{`"a.csv"`}, []string{`"a.tmp"`}},
	{`[{"anything-but":{"suffix":[".tmp",".part"]}}]`, []string{`"a.csv"`}, []string{`"a.part"`}},
	{`[{"anything-but":{"equals-ignore-case":"a"}}]`, []string{`"b"`}, []string{`"a"`, `"A"`}},
	{`[{"anything-but":{"equals-ignore-case":["a","b"]}}]`, []string{`"c"`}, []string{`"A"`, `"B"`}},
	{`[{"anything-but":{"wildcard":"in/*.csv"}}]`, []string{`"in/a.txt"`, `5`}, []string{`"in/a.csv"`}},
	{`[{"anything-but":{"wildcard":["*.csv","*.txt"]}}]`, []string{`"a.gz"`}, []string{`"a.csv"`, `"a.txt"`}},
	// numeric
	{`[{"numeric":["=",5]}]`, []string{`5`, `5.0`}, []string{`"5"`, `5.1`, `null`}},
	{`[{"numeric":[">",5]}]`, []string{`5.1`, `1e300`}, []string{`5`, `-6`}},
	{`[{"numeric":[">=",5]}]`, []string{`5`, `5.1`}, []string{`4.99`}},
	{`[{"numeric":["<",5]}]`, []string{`4.99`, `-1e300`}, []string{`5`, `1e-400`}},
	{`[{"numeric":["<=",-5]}]`, []string{`-5`, `-6`}, []string{`-4`}},
	{`[{"numeric":[">",0,"<=",5]}]`, []string{`0.1`, `5`}, []string{`0`, `5.1`}},
	{`[{"numeric":[">=",0,"<",5]}]`, []string{`0`, `4.9`}, []string{`5`}},
	// exists
	{`[{"exists":true}]`, []string{`null`, `""`, `5`, `[1]`, `[[],"a"]`}, []string{`[]`, `{}`, `{"y":1}`, `[[]]`}},
	{`[{"exists":false}]`, []string{`[]`, `{}`, `{"y":1}`}, []string{`null`, `""`, `[1]`}},
	{`[{"exists":false},"a"]`, []string{`[]`, `"a"`}, []string{`"b"`}},
	// cidr, and addresses as plain strings
	{`[{"cidr":"10.0.0.0/24"}]`, []string{`"10.0.0.0"`, `"10.0.0.255"`, `"::ffff:a00:7"`}, []string{`"10.0.1.0"`, `"10.0.0"`, `"x"`, `10`}},
	{`[{"cidr":"10.0.0.77/24"}]`, []string{`"10.0.0.1"`}, []string{`"10.0.1.1"`}},
	{`[{"cidr":"2001:db8::/32"}]`, []string{`"2001:db8::1"`, `"2001:DB8:ffff::"`}, []string{`"2001:db9::"`, `"10.0.0.1"`}},
	{`[{"cidr":"0.0.0.0/0"}]`, []string{`"255.255.255.255"`}, []string{`"a"`, `1e22`}},
	{`["::1"]`, []string{`"::1"`, `"0:0:0:0:0:0:0:1"`}, []string{`"::2"`}},
	// wildcard
	{`[{"wildcard":"in/*/x.csv"}]`, []string{`"in/a/x.csv"`, `"in/a/b/x.csv"`, `"in//x.csv"`},
		[]string{`"in/x.csv"`, `"in/a/x.csv.gz"`, `5`}},
	{`[{"wildcard":"*"}]`, []string{`""`, `"a"`}, []string{`5`, `null`}},
	{`[{"wildcard":"a*a"}]`, []string{`"aa"`, `"aba"`}, []string{`"a"`}},
	{`[{"wildcard":"*ab*"}]`, []string{`"ab"`, `"aab"`, `"abb"`}, []string{`"ba"`}},
	{`[{"wildcard":"a\\*b"}]`, []string{`"a*b"`}, []string{`"axb"`}},
	{`[{"wildcard":"a\\\\*"}]`, []string{`"a\\"`, `"a\\b"`}, []string{`"ab"`}},
	{`[{"wildcard":"大*雨"}]`, []string{`"大x雨"`}, []string{`"大"`}},
	// several
	{`[5,{"prefix":"a"},null]`, []string{`5`, `"ab"`, `null`}, []string{`"b"`, `6`}},
}

// TestOperators uses each list of alternatives for the field x.
func TestOperators(t *testing.T) {
	t.Parallel()
	for _, c := range operatorTests {
		p := compile(t, `{"x":`+c.alternatives+`}`)
		for _, v := range c.accepts {
			if why := p.Mismatch(decode(t, `{"x":`+v+`}`)); why != "" || !p.Match(decode(t, `{"x":`+v+`}`)) {
				t.Errorf("%s does not match %s: %s", p, v, why)
			}
		}
		for _, v := range c.not {
			if p.Match(decode(t, `{"x":`+v+`}`)) {
				t.Errorf("%s matches %s", p, v)
			}
		}
	}
}

// TestMatch checks Match and Mismatch with several fields, $or and arrays. An empty why means that the
// event matches.
func TestMatch(t *testing.T) {
	t.Parallel()
	const or = `{"kind":["k"],"$or":[{"a":["1"]},{"b":["2"],"c":["3"]}]}`
	const both = `{"items":{"id":["a"],"n":[{"numeric":[">",5]}]}}`
	for _, c := range []struct{ pattern, event, why string }{
		{`{"source":["aws.s3"],"detail":{"state":["SUCCEEDED"]}}`, `{"source":"aws.s3","detail":{"state":"SUCCEEDED","more":1},"more":2}`, ""},
		{`{"detail":{"state":["SUCCEEDED"]}}`, `{"detail":{"state":"FAILED"}}`, `detail.state: "FAILED" is not one of "SUCCEEDED"`},
		{`{"detail":{"size":[{"numeric":[">",10]}]}}`, `{"detail":{}}`, `detail.size: absent`},
		{`{"detail":{"size":[{"numeric":[">",10]}]}}`, `{"detail":{"size":3}}`, `detail.size: 3 does not match numeric > 10`},
		{`{"b":["1"],"a":["2"]}`, `{}`, `b: absent`},
		{`{"a":[{"exists":false}]}`, `{"a":null}`, `a: null is present but must be absent`},
		{`{"a":["x",{"exists":false}]}`, `{"a":"y"}`, `a: "y" is not one of "x", absent`},
		{`{"a":["x",5,null]}`, `{"a":["u","v",1,2,3]}`, `a: "u", "v", 1, … (2 more) is not one of "x", 5, null`},
		{`{"a":[{"prefix":"i"},{"suffix":{"equals-ignore-case":"s"}},{"cidr":"10.0.0.0/8"}]}`, `{"a":"y"}`,
			`a: "y" matches none of prefix "i", suffix "s" ignoring case, cidr "10.0.0.0/8"`},
		{`{"a":[{"anything-but":{"wildcard":"*x*"}}]}`, `{"a":"yxy"}`, `a: "yxy" does not match anything-but wildcard "*x*"`},
		{`{"a":["x"]}`, `"x"`, `the event is not a JSON object`},
		{`{"a":["x"]}`, `[{"a":"x"}]`, `the event is not a JSON object`},
		// a dot in a name is a nested object
		{`{"a.b":["x"]}`, `{"a":{"b":"x"}}`, ""},
		{`{"a":{"b":["x"]}}`, `{"a.b":"x"}`, ""},
		// the last of several equal names applies
		{`{"a":["x"],"a":["y"]}`, `{"a":"y"}`, ""},
		{`{"a":["x"],"a":["y"]}`, `{"a":"x"}`, `a: "x" is not one of "y"`},
		{`{"$or":[{"a":["x"]},{"b":["x"]}],"a":["y"]}`, `{"a":"y"}`, ""},
		{`{"a":["y"],"$or":[{"a":["x"]},{"b":["x"]}]}`, `{"a":"x"}`, ""},
		// $or
		{or, `{"kind":"k","a":"1"}`, ""},
		{or, `{"kind":"k","b":"2","c":"3"}`, ""},
		{or, `{"kind":"k","b":"2"}`, `a: absent (closest of 2 $or combinations)`},
		{or, `{"a":"1"}`, `kind: absent (closest of 2 $or combinations)`},
		{`{"d":{"$or":[{"a":["1"]},{"$or":[{"b":["2"]},{"c":["3"]}]}]}}`, `{"d":{"c":"3"}}`, ""},
		{`{"d":{"$or":[{"a":["1"]},{"$or":[{"b":["2"]},{"c":["3"]}]}]}}`, `{"c":"3"}`, `d.a: absent (closest of 3 $or combinations)`},
		// fields below an array match in the same element
		{both, `{"items":{"id":"a","n":6}}`, ""},
		{both, `{"items":[{"id":"b","n":1},{"id":"a","n":6}]}`, ""},
		{both, `{"items":[{"id":"a","n":1},{"id":"b","n":6}]}`, `items.id, items.n: no single array element matches all of them`},
		{both, `{"items":[[{"id":"a"}],[{"n":6}]]}`, `items.id, items.n: no single array element matches all of them`},
		{both, `{"items":[{"id":["b","a"],"n":[1,6]}]}`, ""},
		{`{"a":{"x":["1"]},"b":{"y":["2"]}}`, `{"a":[{"x":"0"},{"x":"1"}],"b":[{"y":"2"},{}]}`, ""},
		{`{"a":{"b":{"x":["1"],"y":["2"]},"z":["3"]}}`, `{"a":[{"b":[{"x":"1"},{"y":"2"}],"z":"3"},{"b":[{"x":"1","y":"2"}],"z":"3"}]}`, ""},
		{`{"a":{"b":{"x":["1"],"y":["2"]},"z":["3"]}}`, `{"a":[{"b":[{"x":"1","y":"2"}]},{"z":"3"}]}`,
			`a.b.x, a.b.y, a.z: no single array element matches all of them`},
		// {"exists": false} applies to the element that the fields before it chose
		{`{"items":{"id":["a"],"n":[{"exists":false}]}}`, `{"items":[{"id":"a"},{"id":"b","n":6}]}`, ""},
		{`{"items":{"id":["a"],"n":[{"exists":false}]}}`, `{"items":[{"id":"a","n":6}]}`,
			`items.id, items.n: no single array element matches all of them`},
		{`{"items":{"a":[{"exists":false}],"id":["a"]}}`, `{"items":[{"id":"a"},{"a":6}]}`,
			`items.a, items.id: no single array element matches all of them`},
	} {
		p, event := compile(t, c.pattern), decode(t, c.event)
		if got := p.Mismatch(event); got != c.why {
			t.Errorf("%s\n  %s\n got %s\nwant %s", c.pattern, c.event, got, c.why)
		}
		if p.Match(event) != (c.why == "") {
			t.Errorf("%s\n  %s\n match: %t", c.pattern, c.event, p.Match(event))
		}
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, want string }{
		{``, `event pattern: it is empty`},
		{`{"a":`, `event pattern: it is not JSON: unexpected end of JSON input at byte 5`},
		{`{"a":[1]} x`, `event pattern: it is not JSON: invalid character 'x' after top-level value at byte 11`},
		{`["a"]`, `event pattern: must be an object`},
		{`{}`, `event pattern: an empty object is not allowed`},
		{`{"detail":{}}`, `detail: an empty object is not allowed`},
		{`{"detail":{"state":"SUCCEEDED"}}`, `detail.state: "SUCCEEDED" must be in an array: ["SUCCEEDED"]`},
		{`{"detail":{"n":5}}`, `detail.n: 5 must be in an array: [5]`},
		{`{"detail":{"key":{"prefix":"in/"}}}`, `detail.key: an operator must be in an array: [{"prefix": "in/"}]`},
		{`{"a":[]}`, `a: an empty array matches nothing; to match an absent field write [{"exists": false}]`},
		{`{"a":[["x"]]}`, `a: an array in an array`},
		{`{"a":[{}]}`, `a: an operator has exactly one key, not 0`},
		{`{"a":[{"prefix":"x","suffix":"y"}]}`,
			`a: an operator has exactly one key, not 2; write each alternative as its own object: [{…}, {…}]`},
		// unknown operators
		{`{"a":[{"prefx":"x"}]}`, `a: unknown operator "prefx"; did you mean "prefix"?`},
		{`{"a":[{"anything_but":"x"}]}`, `did you mean "anything-but"?`},
		{`{"a":[{"equalsIgnoreCase":"x"}]}`, `did you mean "equals-ignore-case"?`},
		{`{"a":[{"Exists":true}]}`, `did you mean "exists"?`},
		{`{"a":[{"starts-with":"x"}]}`, `did you mean "prefix"?`},
		{`{"a":[{"contains":"x"}]}`, `{"wildcard": "*text*"}`},
		{`{"a":[{"not":"x"}]}`, `{"anything-but": …} excludes values`},
		{`{"a":[{">":5}]}`, `{"numeric": [">", 0, "<=", 5]}`},
		{`{"a":[{"exactly":"x"}]}`, `write a value without an operator: ["a", "b"]`},
		{`{"a":[{"frobnicate":"x"}]}`, `the operators are anything-but, cidr,`},
		// values of operators
		{`{"a":[{"prefix":5}]}`, `a: "prefix" must be a string, not 5`},
		{`{"a":[{"prefix":{"suffix":"x"}}]}`, `a: "prefix" must be a string or {"equals-ignore-case": "…"}, not {"suffix": "x"}`},
		{`{"a":[{"suffix":{"equals-ignore-case":["x"]}}]}`, `a: "suffix": "equals-ignore-case" must be a string, not ["x"]`},
		{`{"a":[{"equals-ignore-case":null}]}`, `a: "equals-ignore-case" must be a string, not null`},
		{`{"a":[{"exists":"true"}]}`, `a: "exists" must be true or false, not "true"`},
		{`{"detail":{"state":[{"numeric":5}]}}`, `detail.state: "numeric" must be ["=", 5], [">", 0] or [">", 0, "<=", 5], not 5`},
		{`{"a":[{"numeric":["<",5,">",0]}]}`, `"numeric" needs > or >= first`},
		{`{"a":[{"numeric":["=",5,"<",6]}]}`, `"numeric" needs > or >= first`},
		{`{"a":[{"numeric":["~",5]}]}`, `"numeric" needs one of = > >= < <=, not "~"`},
		{`{"a":[{"numeric":["=","5"]}]}`, `"numeric" needs a number after "=", not "5"`},
		{`{"a":[{"numeric":[">",5,"<",5]}]}`, `the lower bound must be below the upper bound`},
		{`{"a":[{"numeric":["=",9007199254740993]}]}`, `"numeric" 9007199254740993: cannot be compared exactly`},
		{`{"a":[{"anything-but":[]}]}`, `"anything-but" needs at least one value`},
		{`{"a":[{"anything-but":["x",5]}]}`, `only strings or only numbers`},
		{`{"a":[{"anything-but":true}]}`, `a: "anything-but" takes strings or numbers, not true`},
		{`{"a":[{"anything-but":1e400}]}`, `a: "anything-but" 1e400: cannot be compared exactly`},
		{`{"a":[{"anything-but":{"numeric":[">",5]}}]}`,
			`"anything-but" takes one of the operators prefix, suffix, equals-ignore-case, wildcard`},
		{`{"a":[{"anything-but":{"prefix":""}}]}`, `an empty prefix excludes every string`},
		{`{"a":[{"anything-but":{"suffix":[]}}]}`, `"suffix" needs at least one string`},
		{`{"a":[{"cidr":"10.0.0.0"}]}`, `a: "cidr" "10.0.0.0": a CIDR block needs a mask`},
		{`{"a":[{"cidr":"10.0.0/8"}]}`, `"10.0.0" is not an IP address`},
		{`{"a":[{"cidr":"10.0.0.0/32"}]}`, `must be /0 to /31; write a single address as a plain string`},
		{`{"a":[{"cidr":8}]}`, `a: "cidr" must be a string such as "10.0.0.0/24", not 8`},
		{`{"a":[{"wildcard":"a**b"}]}`, `a: "wildcard" "a**b": ** is not allowed`},
		{`{"a":[{"wildcard":"a\\b"}]}`, `\ must be followed by * or \`},
		{`{"a":[{"wildcard":"a\\"}]}`, `\ must be followed by * or \`},
		// $or
		{`{"$or":{"a":[1]}}`, `$or: must be an array of two or more objects`},
		{`{"d":{"$or":[{"a":[1]}]}}`, `d.$or: must be an array of two or more objects`},
		{`{"$or":[{"a":[1]},5]}`, `$or: 5 must be an object`},
		{`{"$or":[{"a":[1]},{}]}`, `an empty object is not allowed`},
		{`{"$or":[{"a":[1]},{"prefix":["x"]}]}`, `prefix: EventBridge reserves this name inside $or`},
		// limits
		{`{"a":["` + strings.Repeat("x", 4096) + `"]}`, `event pattern: has 4106 characters; EventBridge allows at most 4096`},
		{`{` + strings.Repeat(`"$or":[{"a":[1]},{"b":[1]}],`, 10) + `"c":[1]}`, `$or: produces more than 1000 combinations`},
		{`{` + manyFields(257) + `}`, `event pattern: has 257 fields; EventBridge allows at most 256`},
	} {
		_, err := pattern.Compile([]byte(c.pattern))
		if err == nil {
			t.Errorf("%.100s: compiled, want an error", c.pattern)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.100s\n got %s\nwant %s", c.pattern, err, c.want)
		}
	}
}

// manyFields returns the text of n fields.
func manyFields(n int) string {
	var fields []string
	for i := range n {
		fields = append(fields, fmt.Sprintf(`"%d":[1]`, i))
	}
	return strings.Join(fields, ",")
}

// TestLimitsAreNotTooTight compiles patterns that are exactly at the limits of EventBridge. Blanks
// between the tokens do not count.
func TestLimitsAreNotTooTight(t *testing.T) {
	t.Parallel()
	nine := `{` + strings.Repeat(`"$or":[{"a":[1]},{"b":[1]}],`, 9) + `"c":[1]}`
	for _, text := range []string{
		`{"a":["` + strings.Repeat("ü", 4096-10) + `"]}` + strings.Repeat(" ", 5000),
		nine,
		`{` + manyFields(256) + `}`,
	} {
		compile(t, text)
	}
}

// TestWorkIsBounded matches inputs that take exponential time without a bound on the work: a wildcard
// of many stars with a text that nearly matches, arrays beside each other, and arrays at the same path.
// Without the bound the test does not end.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	stars := compile(t, `{"x":[{"wildcard":"`+strings.Repeat("*a", 1000)+`*b"}]}`)
	if stars.Match(map[string]any{"x": strings.Repeat("a", 200_000)}) {
		t.Error("the wildcard matches a text that does not end with b")
	}
	// 8 arrays of 50 elements that all match, and a last field that does not match: 50^8 choices
	var fields []string
	event := map[string]any{}
	for i := range 8 {
		name := fmt.Sprintf("f%d", i)
		fields = append(fields, fmt.Sprintf(`%q:{"v":["1"]}`, name))
		event[name] = elements(50, "v")
	}
	separate := compile(t, `{`+strings.Join(fields, ",")+`,"z":["1"]}`)
	event["z"] = "2"
	want := `z: "2" is not one of "1"`
	if got := separate.Mismatch(event); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	event["z"] = []any{map[string]any{}}
	shared := compile(t, `{`+strings.Join(fields, ",")+`,"z":{"a":["1"],"b":["1"]}}`)
	event["z"] = []any{map[string]any{"a": "1"}, map[string]any{"b": "1"}}
	if shared.Match(event) {
		t.Error("two elements of z match as if they were one")
	}
	// names with dots can put four arrays of 1,000 elements at the same path: 1,000^4 choices
	array := func(name string) []any { return append(elements(1000, name), map[string]any{"zz": "1"}) }
	hidden := map[string]any{"a.b.c.d": array("x"), "a": map[string]any{"b.c.d": array("u")},
		"a.b": map[string]any{"c.d": array("y")}, "a.b.c": map[string]any{"d": array("z")}}
	dots := compile(t, `{"a":{"b":{"c":{"d":{"u":["1"],"x":["1"],"y":["1"],"z":["1"],"zz":["1"]}}}}}`)
	if dots.Match(hidden) {
		t.Error("elements of several arrays match as if they were one element")
	}
}

// elements returns n objects with one member of this name.
func elements(n int, name string) []any {
	var all []any
	for range n {
		all = append(all, map[string]any{name: "1"})
	}
	return all
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, path string
		want          []string
	}{
		{`{"source":["aws.s3","aws.ecs"]}`, "source", []string{"aws.ecs", "aws.s3"}},
		{`{"detail":{"bucket":{"name":["b"]}}}`, "detail.bucket.name", []string{"b"}},
		{`{"source":["a"]}`, "detail", nil},
		{`{"source":["a",{"prefix":"b"}]}`, "source", nil},
		{`{"source":["a",{"exists":false}]}`, "source", nil},
		{`{"source":["a",5]}`, "source", nil},
		{`{"ip":["10.0.0.1"]}`, "ip", nil}, // also matches other spellings
		{`{"$or":[{"a":["1"]},{"a":["2"],"b":["3"]}]}`, "a", []string{"1", "2"}},
		{`{"$or":[{"a":["1"]},{"a":["2"],"b":["3"]}]}`, "b", nil},
		{`{"$or":[{"a":["1"]},{"b":["3"]}],"c":["4"]}`, "c", []string{"4"}},
	} {
		if got := compile(t, c.pattern).Literals(c.path); !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s at %s: got %q, want %q", c.pattern, c.path, got, c.want)
		}
	}
}

func TestZeroPatternMatchesNothing(t *testing.T) {
	t.Parallel()
	var p pattern.Pattern
	if p.Match(map[string]any{}) || p.Mismatch(map[string]any{}) == "" || p.Literals("a") != nil || p.String() != "" {
		t.Error("the zero Pattern matches, or has literals or a text")
	}
}
