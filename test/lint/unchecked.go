package main

import (
	"bytes"
	"slices"
	"strings"

	"github.com/kisielk/errcheck/errcheck"
	"golang.org/x/tools/go/analysis"
)

// unchecked finds errors that nobody looks at, but for those of which that is right: in tests and their tools; of
// what is printed, because the last write to a broken output tells, too; of what is closed, which was read or has failed
// before (what was written is synced first, and that is checked); and of a channel that is only waited for.
func unchecked() *analysis.Analyzer {
	check := *errcheck.Analyzer
	whole := check.Run
	check.Run = func(pass *analysis.Pass) (any, error) {
		if strings.Contains(pass.Pkg.Path(), "/test/") {
			return errcheck.Result{}, nil
		}
		own := *pass
		own.Report = func(d analysis.Diagnostic) {
			at := pass.Fset.Position(d.Pos)
			if !strings.HasSuffix(at.Filename, "_test.go") && !let(pass, at.Filename, at.Line) {
				d.Message += ": return it, or say with _ = and a comment why it does not matter"
				pass.Report(d)
			}
		}
		return whole(&own)
	}
	return &check
}

// let says whether a line is one of those whose errors do not matter.
func let(pass *analysis.Pass, file string, line int) bool {
	text, err := pass.ReadFile(file)
	if err != nil {
		return false
	}
	lines := bytes.Split(text, []byte("\n"))
	if line > len(lines) {
		return false
	}
	code := lines[line-1]
	return slices.ContainsFunc([]string{"fmt.Fprint", "defer ", "Close(", "<-"}, func(s string) bool { return bytes.Contains(code, []byte(s)) })
}
