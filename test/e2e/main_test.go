package e2e

import (
	"flag"
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // the daemon under test is this executable
	flag.Parse()
	// Tests that are parallel wait for timeouts more than they compute; those that fill the machine are not parallel.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
