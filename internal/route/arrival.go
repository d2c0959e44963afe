package route

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Arrival is a compiled arrival pattern: s3://bucket/sales/{region}/{date}.csv. {x} matches
// within one segment of the key, {x*} across segments, * and ** likewise without a name.
type Arrival struct {
	text   string
	bucket string
	prefix string // literal beginning of the key
	key    *regexp.Regexp
	names  []string // of the groups, one for each; a name may come twice
}

// MaxPattern is how long an arrival pattern may be, in bytes: a key has at most 1,024.
const MaxPattern = 1024

// ParseArrival compiles an arrival pattern.
func ParseArrival(text string) (Arrival, error) {
	bucket, key, err := splitPattern(text)
	if err != nil {
		return Arrival{}, err
	}
	a := Arrival{text: text, bucket: bucket}
	var expression strings.Builder
	expression.WriteString(`(?s)\A`)
	literal := true
	for rest := key; rest != ""; {
		token, name, err := nextToken(rest)
		if err != nil {
			return Arrival{}, fmt.Errorf("arrival pattern %q: %w", text, err)
		}
		rest = rest[len(token):]
		part, isLiteral := a.part(token, name)
		if literal = literal && isLiteral; literal {
			a.prefix += unescape(token)
		}
		expression.WriteString(part)
	}
	expression.WriteString(`\z`)
	a.key, err = regexp.Compile(expression.String())
	return a, err
}

func splitPattern(text string) (bucket, key string, err error) {
	rest, isS3 := strings.CutPrefix(text, "s3://")
	bucket, key, slash := strings.Cut(rest, "/")
	switch {
	case len(text) > MaxPattern:
		err = fmt.Errorf("an arrival pattern has at most %d bytes, and this one has %d", MaxPattern, len(text))
	case !isS3 || !slash || key == "":
		err = fmt.Errorf("arrival pattern %q is not of the form s3://bucket/key", text)
	case strings.ContainsAny(bucket, "{}*"):
		err = fmt.Errorf("arrival pattern %q: the bucket cannot have placeholders: name it", text)
	}
	return bucket, key, err
}

// nextToken cuts the next token off a key pattern: a placeholder, a wildcard, an escaped brace or
// one literal byte. name is the placeholder's, with its *.
func nextToken(rest string) (token, name string, err error) {
	switch {
	case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"), strings.HasPrefix(rest, "**"):
		return rest[:2], "", nil
	case rest[0] == '}':
		return "", "", errors.New("a } without its {; a brace itself is written }}")
	case rest[0] != '{':
		return rest[:1], "", nil
	}
	end := strings.IndexByte(rest, '}')
	if end < 0 {
		return "", "", errors.New("a { without its }; a brace itself is written {{")
	}
	name = rest[1:end]
	if !captureForm.MatchString(name) {
		return "", "", fmt.Errorf("{%s} is not a capture: {name} matches within a segment, {name*} across segments", name)
	}
	return rest[:end+1], name, nil
}

var captureForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*\*?$`)

func unescape(token string) string {
	switch token {
	case "{{":
		return "{"
	case "}}":
		return "}"
	}
	return token
}

// part is the regular expression of a token, and whether it is literal. A capture is never empty.
func (a *Arrival) part(token, name string) (string, bool) {
	switch {
	case name != "":
		across := strings.HasSuffix(name, "*")
		a.names = append(a.names, strings.TrimSuffix(name, "*"))
		if across {
			return `(.+?)`, false
		}
		return `([^/]+?)`, false
	case token == "**":
		return `.*?`, false
	case token == "*":
		return `[^/]*?`, false
	default:
		return regexp.QuoteMeta(unescape(token)), true
	}
}

// Bucket is the pattern's bucket.
func (a Arrival) Bucket() string { return a.bucket }

// Prefix is the literal beginning of the keys that can match.
func (a Arrival) Prefix() string { return a.prefix }

// Names are the captures, each once.
func (a Arrival) Names() []string {
	names := slices.Clone(a.names)
	slices.Sort(names)
	return slices.Compact(names)
}

func (a Arrival) String() string { return a.text }

// Match matches a decoded key. A name that comes twice must capture the same text.
func (a Arrival) Match(bucket, key string) (map[string]string, bool) {
	if bucket != a.bucket || !strings.HasPrefix(key, a.prefix) {
		return nil, false
	}
	groups := a.key.FindStringSubmatch(key)
	if groups == nil {
		return nil, false
	}
	captures := make(map[string]string, len(a.names))
	for i, name := range a.names {
		if old, twice := captures[name]; twice && old != groups[i+1] {
			return nil, false
		}
		captures[name] = groups[i+1]
	}
	return captures, true
}

// miss says why an object does not match.
func (a Arrival) miss(bucket, key string) Miss {
	switch {
	case bucket != a.bucket:
		return Miss{Reason: fmt.Sprintf("bucket %q is not %q", bucket, a.bucket), Near: farSource}
	case !strings.HasPrefix(key, a.prefix):
		return Miss{Reason: fmt.Sprintf("key %q does not begin with %q", key, a.prefix), Near: farKey}
	default:
		return Miss{Reason: fmt.Sprintf("key %q is not of the form %s", key, strings.TrimPrefix(a.text, "s3://"+a.bucket+"/")), Near: farKey + 1}
	}
}
