package pattern_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/pattern"
)

// TestRuler compares the results of this package with AWS's own engine for 100,000 pairs of a pattern
// and an event. The seed is fixed, so each run tests the same pairs.
//
// The generator leaves out the inputs below. For most of them event-ruler 1.8.1 does something that
// AWS does not document and that no user can want:
//
//   - repeated names in an event: the user guide says that the last one applies; event-ruler uses all
//   - empty names
//   - equals-ignore-case with characters beyond U+FFFF: event-ruler compares question marks
//   - equals-ignore-case with Greek letters that have an iota subscript: our case tables omit them
//   - a prefix that ends with a quotation mark, or a suffix that starts with one: event-ruler takes the
//     quotes around a string for a part of the string
//   - an empty suffix beside a number: event-ruler takes the last byte of an encoded number for a quote
//   - a /0 CIDR block beside a number: event-ruler takes the digits of the number for an address
//   - 1e23 and similar numbers: Java before 19 does not write them in their shortest form
//   - an empty list in anything-but: event-ruler fails later, when it adds the rule
func TestRuler(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("MODELDISPATCH_RULER")
	if folder == "" {
		t.Skip("needs AWS's event-ruler: run internal/pattern/testdata/ruler/build.sh OUTDIR, then set MODELDISPATCH_RULER=OUTDIR")
	}
	const n = 100_000
	generate := &generator{Rand: rand.New(rand.NewPCG(1, 2))}
	pairs := make([]pair, n)
	for i := range pairs {
		pairs[i] = generate.pair()
	}
	start := time.Now()
	theirs := askRuler(t, folder, pairs)
	java := time.Since(start)
	start = time.Now()
	ours, count := make([]string, n), map[string]int{}
	for i, p := range pairs {
		ours[i] = p.result(t)
		count[ours[i]]++
	}
	seconds := time.Since(start).Seconds()
	different, inconsistent := differences(t, folder, pairs, ours, theirs)
	t.Logf("%d pairs: %d different results, %d inconsistent results of event-ruler",
		n, different, inconsistent)
	t.Logf("%d matched, %d did not match, %d invalid patterns; event-ruler took %.1f s, this package %.1f s",
		count["true"], count["false"], count["error"], java.Seconds(), seconds)
	if least := n / 5; count["true"] < least || count["false"] < least || count["error"] < n/100 {
		t.Errorf("the results are unbalanced: %v; want at least %d true, %d false and %d error", count, least, least, n/100)
	}
}

// differences reports the pairs with different results. It ignores and counts the pairs for which
// event-ruler is inconsistent. The alternatives of a field share one trie in event-ruler, and some of
// them hide each other there: ["ab", {"numeric": ["<", 5]}, "a"] does not match "ab". By the user
// guide, an array matches if any of its entries does. So differences asks event-ruler again, with each
// pattern split into its alternatives. If event-ruler then agrees with this package, its own two
// results are inconsistent.
func differences(t *testing.T, folder string, pairs []pair, ours, theirs []string) (different, inconsistent int) {
	t.Helper()
	var again []pair
	var at []int
	for i, p := range pairs {
		if ours[i] != theirs[i] {
			p.Split = true
			again = append(again, p)
			at = append(at, i)
		}
	}
	for n, split := range askRuler(t, folder, again) {
		i := at[n]
		if split == ours[i] {
			inconsistent++
			continue
		}
		different++
		t.Errorf("got %s; event-ruler returns %s, and %s for the split pattern\n  pattern %s\n  event   %s",
			ours[i], theirs[i], split, pairs[i].Pattern, pairs[i].Event)
	}
	if most := len(pairs) / 1000; inconsistent > most {
		t.Errorf("%d results of event-ruler are inconsistent, want at most %d", inconsistent, most)
	}
	return different, inconsistent
}

// A pair is a pattern and an event, both as JSON text.
type pair struct {
	Pattern string `json:"pattern"`
	Event   string `json:"event"`
	Split   bool   `json:"split"` // Reference.java splits the pattern into its alternatives
}

// result returns the result of this package: true, false, or error for an invalid pattern.
func (p pair) result(t *testing.T) string {
	t.Helper()
	compiled, err := pattern.Compile([]byte(p.Pattern))
	if err != nil {
		return "error"
	}
	event, err := jsonread.Value([]byte(p.Event))
	if err != nil {
		t.Fatalf("event %s: %v", p.Event, err)
	}
	match, why := compiled.Match(event), compiled.Mismatch(event)
	if match != (why == "") {
		t.Errorf("Match = %t, Mismatch = %q\n  pattern %s\n  event   %s", match, why, p.Pattern, p.Event)
	}
	return fmt.Sprint(match)
}

// askRuler returns the results of event-ruler for all pairs: true, false or error.
func askRuler(t *testing.T, folder string, pairs []pair) []string {
	t.Helper()
	// A pattern whose state machine grows exponentially can block event-ruler.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", "-cp", folder+":"+filepath.Join(folder, "*"), "Reference")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- send(in, pairs) }()
	var results []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		results = append(results, lines.Text())
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || len(results) != len(pairs) {
		t.Fatalf("event-ruler returned %d results for %d pairs, error %v", len(results), len(pairs), err)
	}
	return results
}

// send writes the pairs as JSON, one on each line.
func send(to io.WriteCloser, pairs []pair) error {
	w := bufio.NewWriter(to)
	lines := json.NewEncoder(w)
	for _, p := range pairs {
		if err := lines.Encode(p); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return to.Close()
}
