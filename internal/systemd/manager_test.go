package systemd

import (
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestTheManagerHearsInItsOwnWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000000")
	m, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if m.Watch() != 30*time.Second {
		t.Errorf("it waits %s, want 30 s", m.Watch())
	}
	for _, c := range []struct {
		say  func()
		want string
	}{
		{m.Ready, `^READY=1$`}, {m.Alive, `^WATCHDOG=1$`}, {m.Stopping, `^STOPPING=1$`}, {m.Reloading, `^RELOADING=1\nMONOTONIC_USEC=[0-9]+$`},
	} {
		c.say()
		buf := make([]byte, 256)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(c.want).Match(buf[:n]) {
			t.Errorf("said %q, want %s", buf[:n], c.want)
		}
	}
}

func TestWithoutAManagerNothingIsSaid(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	m, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	m.Ready()
	Manager{}.Ready()
	if m.Watch() != 0 {
		t.Errorf("nobody waits, and yet %s", m.Watch())
	}
}
