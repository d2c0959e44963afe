// Command style checks the rules of the Go code that a linter does not know: plain comments, the length of lines, the
// sizes of functions, and regular expressions that each call compiles again. It reads the files below the current
// folder, prints each line that breaks a rule, and exits with 1 if a rule is broken.
//
//	go run ./.ci/style
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxUnclear = 5   // unclear comment lines in 1,000
	maxLine    = 140 // characters of a line
	maxMedian  = 10  // lines of half of the functions
	maxTenth   = 27  // lines of nine functions in ten
	maxLength  = 80  // lines of the longest function
)

// unclear matches two forms that hide the subject of a sentence: a definition by a question word, and a pronoun as the
// actor.
var unclear = regexp.MustCompile(`(?i)\b(is|are|was|were) (what|when|who|whom|whose|whether|where|why|how)\b` +
	`|\b(nobody|somebody|whoever|one that|ones that|those that|those who|who was|who were)\b`)

// report collects what the files contain.
type report struct {
	comments int      // lines of comments
	unclear  []string // comment lines that match unclear
	long     []string // lines over maxLine
	sizes    []int    // lines of each function outside tests
	longest  string   // position of the longest function
	compiled []string // positions in functions outside tests where a fixed regular expression is compiled
}

func main() {
	r, err := readAll(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "style:", err)
		os.Exit(2)
	}
	if !r.print(os.Stdout) {
		os.Exit(1)
	}
}

// readAll reads the Go files of the folder. It skips hidden folders, which builds write, except .ci.
func readAll(root string) (*report, error) {
	r := &report{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci":
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return r.read(name, text)
	})
	return r, err
}

func (r *report) read(name string, text []byte) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	r.readLines(name, text)
	r.readComments(name, text)
	if strings.HasSuffix(name, "_test.go") || strings.Contains(filepath.ToSlash(name), "/testdata/") {
		return nil
	}
	for _, d := range file.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		if !isFunc {
			continue
		}
		start, end := files.Position(f.Pos()), files.Position(f.End())
		size := end.Line - start.Line + 1
		if len(r.sizes) == 0 || size > slices.Max(r.sizes) {
			r.longest = fmt.Sprintf("%s:%d", name, start.Line)
		}
		r.sizes = append(r.sizes, size)
		r.readRegexps(files, f)
	}
	return nil
}

// readRegexps records where a function compiles a regular expression that is the same in each call.
func (r *report) readRegexps(files *token.FileSet, f *ast.FuncDecl) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall || len(call.Args) != 1 {
			return true
		}
		selector, isSelector := call.Fun.(*ast.SelectorExpr)
		if !isSelector || !strings.HasSuffix(selector.Sel.Name, "Compile") {
			return true
		}
		of, isName := selector.X.(*ast.Ident)
		if _, isFixed := call.Args[0].(*ast.BasicLit); isName && of.Name == "regexp" && isFixed {
			r.compiled = append(r.compiled, files.Position(call.Pos()).String())
		}
		return true
	})
}

func (r *report) readLines(name string, text []byte) {
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		if length := utf8.RuneCountInString(lines.Text()); length > maxLine {
			r.long = append(r.long, fmt.Sprintf("%s:%d: %d characters", name, n, length))
		}
	}
}

// readComments counts every comment line, those inside functions and at the end of a line of code too.
func (r *report) readComments(name string, text []byte) {
	file := token.NewFileSet().AddFile(name, -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	for {
		at, kind, literal := s.Scan()
		if kind == token.EOF {
			return
		}
		if kind != token.COMMENT || strings.HasPrefix(literal, "//go:") {
			continue
		}
		for i, line := range strings.Split(literal, "\n") {
			r.comments++
			if unclear.MatchString(line) {
				r.unclear = append(r.unclear, fmt.Sprintf("%s:%d: %s", name, file.Line(at)+i, strings.TrimSpace(line)))
			}
		}
	}
}

// print prints what breaks a rule, and reports whether every rule holds.
func (r *report) print(w io.Writer) bool {
	slices.Sort(r.sizes)
	at := func(share float64) int { return r.sizes[int(share*float64(len(r.sizes)-1))] }
	median, tenth, length := at(0.5), at(0.9), r.sizes[len(r.sizes)-1]
	fmt.Fprintf(w, "comments: %d lines, %d unclear (at most %d in 1,000)\n", r.comments, len(r.unclear), maxUnclear)
	fmt.Fprintf(w, "functions: %d, median %d lines (at most %d), nine in ten up to %d (at most %d), longest %d (at most %d)\n",
		len(r.sizes), median, maxMedian, tenth, maxTenth, length, maxLength)
	ok := true
	if 1000*len(r.unclear) > maxUnclear*r.comments {
		ok = false
		fmt.Fprintln(w, "\nUnclear comments: start with a verb, and name the subject that acts.\n"+strings.Join(r.unclear, "\n"))
	}
	if len(r.long) > 0 {
		ok = false
		fmt.Fprintf(w, "\nLines over %d characters: break them.\n%s\n", maxLine, strings.Join(r.long, "\n"))
	}
	if len(r.compiled) > 0 {
		ok = false
		fmt.Fprintln(w, "\nRegular expressions in functions: compile them once, in a package-level variable.\n"+strings.Join(r.compiled, "\n"))
	}
	if median > maxMedian || tenth > maxTenth || length > maxLength {
		ok = false
		fmt.Fprintf(w, "\nFunctions are too long; the longest is at %s.\n", r.longest)
	}
	return ok
}
