package survive

import (
	"flag"
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // the daemon under test is this executable
	flag.Parse()
	// A test waits for processes that start and die more than it computes.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
