package operate

import (
	"flag"
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // a daemon under test may be this executable
	flag.Parse()
	// Tests that are parallel wait for timeouts more than they compute.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(host.WithBinary(func(dir string) int {
		if err := os.Setenv("PATH", dir+":"+os.Getenv("PATH")); err != nil {
			panic(err)
		}
		return m.Run()
	}))
}
