package watch

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child() // a daemon under test may be this executable
	os.Exit(m.Run())
}

// root of the repository, as seen from here.
const root = "../.."

// mustFind finds a program of Debian's package prometheus, installed or where `make prometheus` puts it.
func mustFind(tb testing.TB, program string) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	path, err = filepath.Abs(filepath.Join(root, "bin/prometheus/usr/bin", program))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		tb.Fatalf("%s is not there: run make prometheus (%v)", program, err)
	}
	return path
}
