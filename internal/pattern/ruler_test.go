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

	"modeldispatch/internal/pattern"
)

// TestRuler compares 100,000 answers with AWS's own engine. The pairs are drawn from a fixed seed,
// so that a difference can be looked at again.
//
// Some things are left out of what is drawn, because event-ruler 1.8.1 does there what AWS
// documents nowhere and what nobody would want; each is named where the pair is drawn:
//
//   - doubled names in an event ("the last one wins", user guide; event-ruler takes all)
//   - names that are empty
//   - equals-ignore-case beyond U+FFFF (it compares question marks), and of Greek letters with an
//     iota beneath, which our case tables do not have
//   - a prefix that ends in a quotation mark, a suffix that begins with one (it takes the quotes
//     around a string for a part of it)
//   - an empty suffix beside a number (it takes the last byte of an encoded number for a quote)
//   - a /0 cidr block beside a number (it takes the number's digits for those of an address)
//   - 1e23 and its like, which Java before 19 does not write in the shortest form
//   - empty lists in anything-but operators (it fails later, on adding the rule)
func TestRuler(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("MODELDISPATCH_RULER")
	if folder == "" {
		t.Skip("compares with AWS's event-ruler: internal/pattern/testdata/ruler/build.sh OUTDIR, then MODELDISPATCH_RULER=OUTDIR")
	}
	const n = 100_000
	draw := &drawer{Rand: rand.New(rand.NewPCG(1, 2))}
	pairs := make([]pair, n)
	for i := range pairs {
		pairs[i] = draw.pair()
	}
	start := time.Now()
	theirs := referee(t, folder, pairs)
	java := time.Since(start)
	start = time.Now()
	ours, count := make([]string, n), map[string]int{}
	for i, p := range pairs {
		ours[i] = p.judge(t)
		count[ours[i]]++
	}
	seconds := time.Since(start).Seconds()
	different, spoilt := differences(t, folder, pairs, ours, theirs)
	t.Logf("%d pairs: %d differ, and %d where event-ruler contradicts itself; %d true, %d false, %d patterns refused; event-ruler %.1f s, ours %.1f s",
		n, different, spoilt, count["true"], count["false"], count["error"], java.Seconds(), seconds)
	if least := n / 5; count["true"] < least || count["false"] < least || count["error"] < n/100 {
		t.Errorf("the pairs are lopsided: %v", count)
	}
}

// differences reports the pairs with two answers. One class of them is not ours: the alternatives
// of a field share one trie in event-ruler, where some spoil each other (["ab", {"numeric": ["<", 5]},
// "a"] does not take "ab"). By the user guide an array matches if any of its entries does, so such
// a pair is asked again with the pattern taken apart into its alternatives. If then event-ruler
// says what we say, it has contradicted itself.
func differences(t *testing.T, folder string, pairs []pair, ours, theirs []string) (different, spoilt int) {
	t.Helper()
	var again []pair
	var at []int
	for i, p := range pairs {
		if ours[i] != theirs[i] {
			p.Apart = true
			again = append(again, p)
			at = append(at, i)
		}
	}
	for n, apart := range referee(t, folder, again) {
		i := at[n]
		if apart == ours[i] {
			spoilt++
			continue
		}
		different++
		t.Errorf("we say %s, event-ruler %s, and %s taken apart\n  pattern %s\n  event   %s",
			ours[i], theirs[i], apart, pairs[i].Pattern, pairs[i].Event)
	}
	if most := len(pairs) / 1000; spoilt > most {
		t.Errorf("%d answers are put down to event-ruler contradicting itself; %d would be a lot", spoilt, most)
	}
	return different, spoilt
}

// A pair is a pattern and an event, as JSON text.
type pair struct {
	Pattern string `json:"pattern"`
	Event   string `json:"event"`
	Apart   bool   `json:"apart"` // the referee takes the pattern apart
}

func (p pair) judge(t *testing.T) string {
	t.Helper()
	compiled, err := pattern.Compile([]byte(p.Pattern))
	if err != nil {
		return "error"
	}
	event, err := pattern.Decode([]byte(p.Event))
	if err != nil {
		t.Fatalf("%v: %s", err, p.Event)
	}
	match, why := compiled.Match(event), compiled.Mismatch(event)
	if match != (why == "") {
		t.Errorf("match is %t, mismatch is %q\n  pattern %s\n  event   %s", match, why, p.Pattern, p.Event)
	}
	return fmt.Sprint(match)
}

// referee asks event-ruler about all pairs.
func referee(t *testing.T, folder string, pairs []pair) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it may be stuck in a machine that explodes
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", "-cp", folder+":"+filepath.Join(folder, "*"), "Referee")
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
	var answers []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		answers = append(answers, lines.Text())
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || len(answers) != len(pairs) {
		t.Fatalf("%d answers to %d pairs: %v", len(answers), len(pairs), err)
	}
	return answers
}

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
