package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRules checks that each rule can be broken, and that a file without faults breaks none.
func TestRules(t *testing.T) {
	t.Parallel()
	short := strings.Repeat("func f() {\n}\n\n", 3)
	long := "func g() {\n" + strings.Repeat("\tf()\n", maxLength) + "}\n"
	medium := "func h() {\n" + strings.Repeat("\tf()\n", maxMedian) + "}\n\n"
	for name, test := range map[string]struct{ text, want string }{
		"a good file":          {"package p\n\n// f does nothing.\n" + short, ""},
		"an unclear comment":   {"package p\n\n// This is what somebody wants.\n" + short, "Unclear comments"},
		"a comment in a line":  {"package p\n\nvar v = 1 // it is what counts\n" + short, "Unclear comments"},
		"a long line":          {"package p\n\nvar v = \"" + strings.Repeat("x", maxLine) + "\"\n" + short, "Lines over 140"},
		"a long function":      {"package p\n\n" + short + long, "Functions are too long"},
		"an expression":        {"package p\n\n" + short + "func g() { regexp.MustCompile(`x`) }\n", "Regular expressions in functions"},
		"expressions at rest":  {"package p\n\nvar a = regexp.MustCompile(`x`)\n\n" + short + "func g() { regexp.Compile(f()) }\n", ""},
		"many long functions":  {"package p\n\n" + strings.Repeat(medium, 9), "Functions are too long"},
		"a directive and code": {"package p\n\n//go:generate that is what is needed\nvar s = \"who was\"\n" + short, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := readAll(dir)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if ok := r.print(&out); ok != (test.want == "") || !strings.Contains(out.String(), test.want) {
				t.Errorf("the rules hold: %v, want %q in\n%s", ok, test.want, out.String())
			}
		})
	}
}

// TestLimitOfUnclearComments allows five unclear lines in 1,000, and not six.
func TestLimitOfUnclearComments(t *testing.T) {
	t.Parallel()
	for unclear, want := range map[int]bool{maxUnclear: true, maxUnclear + 1: false} {
		r := &report{comments: 1000, sizes: []int{1}}
		for i := range unclear {
			r.unclear = append(r.unclear, fmt.Sprint(i))
		}
		if ok := r.print(new(strings.Builder)); ok != want {
			t.Errorf("with %d unclear lines of 1,000 the rule holds: %v, want %v", unclear, ok, want)
		}
	}
}
