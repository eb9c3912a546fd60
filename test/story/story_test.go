package story

import (
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child()
	os.Exit(m.Run())
}

// The afternoon keeps its promises.
func TestTheAfternoon(t *testing.T) {
	if err := Run(t.Context(), t.Output(), t.TempDir()); err != nil {
		t.Error(err)
	}
}
