package survive

import (
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // the daemon under test is this executable
	os.Exit(m.Run())
}
