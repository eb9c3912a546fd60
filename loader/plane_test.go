package loader

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/ebbtide/ebbtide/test/lab"
)

// mustNS runs the test in a network namespace of its own with a veth pair a-b.
func mustNS(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root: it loads BPF programs and makes network namespaces")
	}
	runtime.LockOSThread() // never unlocked: the thread dies with the test, and the namespace with it
	if _, err := netns.New(); err != nil {
		t.Fatal(err)
	}
	mustVeth(t, "a", "b")
}

// mustBPFFS mounts a bpffs for the test alone.
func mustBPFFS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	lab.MustMountBPFFS(t, dir)
	if err := EnsureBPFFS(dir); err != nil { // it is one
		t.Fatal(err)
	}
	return filepath.Join(dir, "plane")
}

func options(dir string) Options {
	return Options{Dir: dir, MaxFlows: 4096, Logger: slog.New(slog.DiscardHandler)}
}

func TestAPlaneIsAdoptedAfterItsLoaderIsGone(t *testing.T) {
	mustNS(t)
	dir := mustBPFFS(t)
	first, err := Open(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Attach("a", Native, false); err != nil {
		t.Fatal(err)
	}
	seed := first.config.Seed
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.config.Seed != seed || first.Adopted || !second.Adopted {
		t.Error("the second loader made a plane of its own")
	}
	at, err := second.Attached()
	if err != nil || len(at) != 1 || at[0].Name != "a" || at[0].Mode != Native {
		t.Errorf("attached: %+v, %v", at, err)
	}
	if _, err := second.Sweep(); err != nil {
		t.Error(err)
	}
	if _, err := second.Barrier(); err != nil {
		t.Error(err)
	}
	if err := second.Tables.GracePeriod(); err != nil {
		t.Error(err)
	}
	if err := Detach(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("after detach: %v", err)
	}
	l, _ := netlink.LinkByName("a")
	if x := l.Attrs().Xdp; x != nil && x.Attached {
		t.Error("a program is still attached after detach")
	}
}
