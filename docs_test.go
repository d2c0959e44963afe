package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages returns the text of each Markdown page, by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, glob := range []string{"*.md", "docs/*.md", "models/*.md", "models/*/*.md", "events/*.md"} {
		names, err := filepath.Glob(glob)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s matches no page: %v", glob, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(name)] = string(text)
		}
	}
	return all
}

var (
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the anchors of a page, as GitHub makes them from headings.
func anchors(page string) []string {
	var all []string
	for _, h := range heading.FindAllStringSubmatch(page, -1) {
		all = append(all, strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path.Join(path.Dir(name), target)
			if target == "" {
				file = name
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(all[file]), anchor) {
				t.Errorf("%s links to %s: the page has no such heading", name, m[1])
			}
		}
	}
}

// packages returns the folder of each Go package below a folder.
func packages(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(name))
		if strings.HasSuffix(name, ".go") && !strings.Contains(folder, "testdata") && !slices.Contains(all, folder) {
			all = append(all, folder)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestArchitectureNamesEachPackage(t *testing.T) {
	t.Parallel()
	page := pages(t)["docs/architecture.md"]
	for _, folder := range packages(t, "internal") {
		if !strings.Contains(page, "`"+folder+"`") && !strings.Contains(page, "`"+strings.TrimPrefix(folder, "internal/")+"`") {
			t.Errorf("docs/architecture.md does not name %s", folder)
		}
	}
}

// declared returns the names that a package declares outside its tests: Name, Type.Method and Type.Field.
func declared(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				all[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					declare(all, spec)
				}
			}
		}
	}
	return all
}

// receiver returns the type of a method with a dot behind it, and nothing for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if star, isPointer := kind.(*ast.StarExpr); isPointer {
		kind = star.X
	}
	if name, isName := kind.(*ast.Ident); isName {
		return name.Name + "."
	}
	return ""
}

func declare(all map[string]bool, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			all[name.Name] = true
		}
	case *ast.TypeSpec:
		all[spec.Name.Name] = true
		if s, isStruct := spec.Type.(*ast.StructType); isStruct {
			for _, field := range s.Fields.List {
				for _, name := range field.Names {
					all[spec.Name.Name+"."+name.Name] = true
				}
			}
		}
	}
}

var codeName = regexp.MustCompile("`([a-z]+)\\.([A-Za-z]\\w*(?:\\.[A-Za-z]\\w*)?)`")

// TestPagesNameCodeThatExists keeps the pages for maintainers true: `run.Run.Claim` must be declared in a package run.
func TestPagesNameCodeThatExists(t *testing.T) {
	t.Parallel()
	names := map[string]map[string]bool{}
	for _, folder := range packages(t, "internal") {
		names[path.Base(folder)] = declared(t, folder)
	}
	all := pages(t)
	found := 0
	for _, page := range []string{"docs/architecture.md", "docs/protocol.md", "CONTRIBUTING.md"} {
		for _, m := range codeName.FindAllStringSubmatch(all[page], -1) {
			if of, isPackage := names[m[1]]; isPackage && !slices.Contains([]string{"go", "json", "md", "yaml"}, m[2]) { // not a file
				found++
				if !of[m[2]] {
					t.Errorf("%s names %s.%s, which is not declared", page, m[1], m[2])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names code")
	}
}
