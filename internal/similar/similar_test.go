package similar_test

import (
	"testing"

	"modeldispatch/internal/similar"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"sales", "sale", "rates", "größe", "description"}
	for word, want := range map[string]string{
		"sales":       "sales", // the name itself
		"sals":        "sales", // "sales" and "sale" have the same distance: the first
		"ale":         "sale",
		"rate":        "rates",
		"grosse":      "größe", // letters count, not bytes
		"g":           "",
		"r":           "",
		"dscrptn":     "", // four letters are missing, and three are the limit
		"desciptoin":  "description",
		"":            "",
		"unspeakable": "",
	} {
		if got := similar.Nearest(word, names); got != want {
			t.Errorf("the name nearest to %q is %q, want %q", word, got, want)
		}
	}
	if got := similar.Nearest("sales", nil); got != "" {
		t.Errorf("of no names, %q is the nearest", got)
	}
}

// TestLimitCountsLetters: a word of four letters has a limit of 2, also if the letters take six bytes.
func TestLimitCountsLetters(t *testing.T) {
	t.Parallel()
	if got := similar.Nearest("ößen", []string{"größe"}); got != "" {
		t.Errorf("the name nearest to ößen is %q, want none: three letters differ", got)
	}
}
