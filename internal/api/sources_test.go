package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sources is what the comments of packages say of types, by import path.
type sources map[string]source

type source struct {
	types  map[string]string   // by name
	fields map[string]string   // by type.field
	enums  map[string][]string // values of a type's constants
}

const module = "github.com/ebbtide/ebbtide/"

func (all sources) of(tb testing.TB, pkg string) source {
	tb.Helper()
	if have, ok := all[pkg]; ok {
		return have
	}
	s := source{map[string]string{}, map[string]string{}, map[string][]string{}}
	all[pkg] = s
	dir, ours := strings.CutPrefix(pkg, module)
	if !ours {
		return s
	}
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("the sources of %s: %v, %v", pkg, files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range f.Decls {
			if decl, ok := d.(*ast.GenDecl); ok {
				s.read(decl)
			}
		}
	}
	return s
}

func (s source) read(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = words(decl.Doc, spec.Doc)
			if body, ok := spec.Type.(*ast.StructType); ok {
				s.readFields(spec.Name.Name, body)
			}
		case *ast.ValueSpec:
			s.readConstants(spec)
		}
	}
}

func (s source) readFields(of string, body *ast.StructType) {
	for _, f := range body.Fields.List {
		for _, name := range f.Names {
			s.fields[of+"."+name.Name] = words(f.Doc, f.Comment)
		}
	}
}

func (s source) readConstants(spec *ast.ValueSpec) {
	of, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, v := range spec.Values {
		if text, ok := v.(*ast.BasicLit); ok && text.Kind == token.STRING {
			value, _ := strconv.Unquote(text.Value)
			s.enums[of.Name] = append(s.enums[of.Name], value)
		}
	}
}

// words are comments on one line, without the brackets of Go's links.
func words(groups ...*ast.CommentGroup) string {
	var out []string
	for _, g := range groups {
		if g != nil {
			out = append(out, strings.Fields(g.Text())...)
		}
	}
	return strings.NewReplacer("[*", "", "[", "", "]", "").Replace(strings.Join(out, " "))
}
