// Command lint is a tool of `go vet -vettool`: what vet and staticcheck leave out. As one of vet's it looks at a package
// again only when that has changed.
package main

import (
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"golang.org/x/tools/go/analysis/passes/nilness"
	"golang.org/x/tools/go/analysis/passes/reflectvaluecompare"
	"golang.org/x/tools/go/analysis/passes/sortslice"
	"golang.org/x/tools/go/analysis/passes/unusedwrite"
	"golang.org/x/tools/go/analysis/passes/waitgroup"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	unitchecker.Main(unchecked(), ineffassign.Analyzer, nilness.Analyzer, reflectvaluecompare.Analyzer,
		sortslice.Analyzer, unusedwrite.Analyzer, waitgroup.Analyzer)
}
