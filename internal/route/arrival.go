package route

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"modeldispatch/internal/model"
)

// Arrival is a compiled arrival pattern, for example s3://bucket/sales/{region}/{date}.csv. A segment is the part of a
// key between two slashes. {x} matches one or more characters within a segment, and {x*} also across segments. The
// wildcards * and ** do the same without a capture, and can also match nothing.
type Arrival struct {
	text   string
	bucket string
	prefix string // the literal beginning of the key
	key    *regexp.Regexp
	names  []string // the capture of each group; a name may come twice
}

// MaxPattern is the maximum length of an arrival pattern in bytes. S3 allows keys of up to 1,024 bytes.
const MaxPattern = 1024

// ParseArrival compiles an arrival pattern. Its error contains the pattern, unless the pattern is too long.
func ParseArrival(text string) (Arrival, error) {
	uri, err := splitPattern(text)
	if err != nil {
		return Arrival{}, err
	}
	a := Arrival{text: text, bucket: uri.Bucket}
	var expression strings.Builder
	expression.WriteString(`(?s)\A`)
	literal := true
	for rest := uri.Key; rest != ""; {
		token, name, err := nextToken(rest)
		if err != nil {
			return Arrival{}, fmt.Errorf("arrival pattern %q: %w", text, err)
		}
		rest = rest[len(token):]
		matcher, isLiteral := a.matcher(token, name)
		if literal = literal && isLiteral; literal {
			a.prefix += unescape(token)
		}
		expression.WriteString(matcher)
	}
	expression.WriteString(`\z`)
	a.key, err = regexp.Compile(expression.String())
	return a, err
}

// splitPattern splits a pattern into its bucket and its key.
func splitPattern(text string) (uri model.ObjectURI, err error) {
	uri, isURI := model.CutObjectURI(text)
	switch {
	case len(text) > MaxPattern:
		err = fmt.Errorf("an arrival pattern has at most %d bytes, and this one has %d", MaxPattern, len(text))
	case !isURI || uri.Key == "":
		err = fmt.Errorf("arrival pattern %q is not of the form s3://bucket/key", text)
	case strings.ContainsAny(uri.Bucket, "{}*"):
		err = fmt.Errorf("arrival pattern %q: the bucket cannot have placeholders; write its name", text)
	}
	return uri, err
}

// nextToken returns the first token of a key pattern: a placeholder, a wildcard, an escaped brace or one literal byte.
// For a placeholder it also returns the name, with its * if it has one.
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

// unescape returns the brace that an escaped brace means, and any other token unchanged.
func unescape(token string) string {
	switch token {
	case "{{":
		return "{"
	case "}}":
		return "}"
	}
	return token
}

// matcher returns the regular expression of a token, and reports whether the token is literal. For a placeholder it
// adds the name to a.names. A capture is never empty.
func (a *Arrival) matcher(token, name string) (string, bool) {
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

// Bucket returns the pattern's bucket.
func (a Arrival) Bucket() string { return a.bucket }

// Prefix returns the literal text with which every matching key begins.
func (a Arrival) Prefix() string { return a.prefix }

// Names returns the names of the captures, sorted and without duplicates.
func (a Arrival) Names() []string {
	names := slices.Clone(a.names)
	slices.Sort(names)
	return slices.Compact(names)
}

// String returns the pattern as it was written.
func (a Arrival) String() string { return a.text }

// Match compares an object with the pattern. The key must not be encoded. If the object matches, Match returns the text
// of each capture. A name that comes twice in the pattern must capture the same text both times.
func (a Arrival) Match(uri model.ObjectURI) (map[string]string, bool) {
	if uri.Bucket != a.bucket || !strings.HasPrefix(uri.Key, a.prefix) {
		return nil, false
	}
	groups := a.key.FindStringSubmatch(uri.Key)
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

// miss returns why an object does not match.
func (a Arrival) miss(uri model.ObjectURI) Miss {
	switch {
	case uri.Bucket != a.bucket:
		return Miss{Reason: fmt.Sprintf("bucket %q is not %q", uri.Bucket, a.bucket), Closeness: closenessSource}
	case !strings.HasPrefix(uri.Key, a.prefix):
		return Miss{Reason: fmt.Sprintf("key %q does not begin with %q", uri.Key, a.prefix), Closeness: closenessKey}
	default:
		form, _ := model.CutObjectURI(a.text)
		return Miss{Reason: fmt.Sprintf("key %q is not of the form %s", uri.Key, form.Key), Closeness: closenessKeyShape}
	}
}
