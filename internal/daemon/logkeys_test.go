package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root of the repository, as seen from here.
const root = "../.."

var fieldRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\|$")

// otherNames would hide lines from whoever filters the log by a field's own name.
var otherNames = map[string]string{
	"error": "err", "reason": "why", "svc": "service", "gen": "generation", "iface": "interface", "addr": "address", "server": "backend",
}

var snake = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// Who filters the log by a field finds all lines that have it: each field has one name, and the docs have those that matter.
func TestTheFieldsOfTheLogHaveOneNameEach(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var known []string
	for _, m := range fieldRow.FindAllStringSubmatch(section, -1) {
		known = append(known, m[1])
	}
	used := map[string]bool{}
	for _, dir := range []string{"internal", "loader", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return logged(path, func(where token.Position, key string) {
				used[key] = true
				if !snake.MatchString(key) || otherNames[key] != "" {
					t.Errorf("%s: the field %q: want a word of small letters, and %q where that is meant", where, key, otherNames[key])
				}
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range known {
		if !used[key] {
			t.Errorf("docs/metrics.md has the field %q, and nothing logs it", key)
		}
	}
	if len(known) < 5 || len(used) < 5 {
		t.Errorf("only %d fields of the log were found, and %d in its docs", len(used), len(known))
	}
}

// logged finds the keys of a file's calls of a logger that is called log.
func logged(path string, yield func(token.Position, string)) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) || !isLog(method.X) {
			return true
		}
		for i := 1; i < len(call.Args); i += 2 {
			key, ok := call.Args[i].(*ast.BasicLit)
			if !ok {
				yield(files.Position(call.Args[i].Pos()), "(not a literal)")
				continue
			}
			text, _ := strconv.Unquote(key.Value) // the parser took it
			yield(files.Position(key.Pos()), text)
		}
		return true
	})
	return nil
}

func isLog(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.EqualFold(x.Name, "log") || strings.EqualFold(x.Name, "logger")
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log") || strings.EqualFold(x.Sel.Name, "logger")
	}
	return false
}
