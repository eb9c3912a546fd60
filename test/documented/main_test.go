package documented

import (
	"flag"
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

// binaries is where the program is that was built from this tree.
var binaries string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // most of it is waiting
		panic(err)
	}
	os.Exit(host.WithBinary(func(dir string) int {
		binaries = dir
		return m.Run()
	}))
}
