package api_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

func TestTheSocketIsForItsOwnerAndGroupAndGoesWhenClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s")
	gid := os.Getgid()
	ln, err := api.Listen(path, strconv.Itoa(gid))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o660 || int(info.Sys().(*syscall.Stat_t).Gid) != gid {
		t.Errorf("mode %v, group %d", info.Mode(), info.Sys().(*syscall.Stat_t).Gid)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestASocketThatNobodyListensOnIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	mustLeaveStale(t, path)
	mustLeaveStale(t, path+".new")
	ln, err := api.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// mustLeaveStale leaves the socket of a killed daemon behind.
func mustLeaveStale(tb testing.TB, path string) {
	tb.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		tb.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func TestASocketIsNotTakenFromAnother(t *testing.T) {
	dir := t.TempDir()
	used := filepath.Join(dir, "used")
	ln, err := net.Listen("unix", used)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{used: "another daemon listens on " + used, file: file + " is no socket, and in the way of one"} {
		if _, err := api.Listen(path, ""); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestAnUnknownGroupLeavesNoSocketBehind(t *testing.T) {
	dir := t.TempDir()
	_, err := api.Listen(filepath.Join(dir, "s"), "no-such-group")
	if err == nil || !strings.Contains(err.Error(), "no-such-group") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWithoutADaemonTheClientSaysSo(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	mustLeaveStale(t, stale)
	for _, path := range []string{filepath.Join(dir, "none"), stale} {
		_, err := api.New(path).Status(t.Context())
		if !errors.Is(err, api.ErrNoDaemon) || err.Error() != "no daemon listens on "+path {
			t.Errorf("got %v", err)
		}
	}
}
