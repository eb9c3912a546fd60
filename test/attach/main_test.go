package attach

import (
	"flag"
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // the daemon under test is this executable
	flag.Parse()
	// Tests wait more than they compute.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
