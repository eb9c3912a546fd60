package game

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/test/lab"
)

const port = 7777

// inOrder is a tick for datagrams of which none may overtake another: one that
// was sent on a CPU that is kept busy waits there, the next leaves by another.
const inOrder = 100 * time.Millisecond

// own are a world's endpoints at a backend's own addresses, both families,
// both networks.
func own(b *lab.Backend) []Endpoint {
	return []Endpoint{TCP(b.V4, port), UDP(b.V4, port), TCP(b.V6, port), UDP(b.V6, port)}
}

// mustServe serves the game on one backend of a lab of one, at its own
// addresses.
func mustServe(tb testing.TB) (*lab.Lab, *World, []Endpoint) {
	tb.Helper()
	l := lab.Must(tb, lab.Options{Forwarding: lab.NAT, Backends: []string{"blue1"}})
	at := own(l.Backends[0])
	w, err := NewWorld(l, at...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := w.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l, w, at
}

// mustBeWhole checks that no player and no server noticed anything.
func mustBeWhole(tb testing.TB, f *Fleet, w *World) {
	tb.Helper()
	if t := f.Totals(); t.Broken != 0 {
		tb.Errorf("%d of %d players broken: %q", t.Broken, t.Players, t.Reasons)
	}
	if faults := w.Faults(); len(faults) != 0 {
		tb.Errorf("%d faults: %q", len(faults), faults[:min(len(faults), maxReasons)])
	}
}

func TestPlayersOfAnHonestServerAreNotBroken(t *testing.T) {
	l, w, at := mustServe(t)
	v4, v6, err := l.ClientAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	f := NewFleet(l.Client)
	begin := time.Now()
	role := Role{Endpoints: at, From: append(v4, v6...), ChatTick: 10 * time.Millisecond, StateTick: inOrder}
	f.Add(context.Background(), 50, role)
	f.Exchange(5)
	if got := f.Totals(); got.Sessions != 200 || got.Colours["blue"] != 200 {
		t.Errorf("in progress: %+v, want 200 on blue", got)
	}
	if got := w.Open(); got["blue"] != 200 {
		t.Errorf("servers have %v, want 200 on blue", got)
	}
	if got := f.OpenedAfter(begin, &w.Log); len(got) != 1 || got["blue"] != 200 {
		t.Errorf("opened: %v, want 200 on blue", got)
	}
	if got := f.OpenedAfter(time.Now(), &w.Log); len(got) != 0 {
		t.Errorf("opened after the last: %v", got)
	}
	f.Logout(50)
	mustBeWhole(t, f, w)
	if got := f.Totals(); got.Sessions != 0 {
		t.Errorf("after logout: %+v", got)
	}
	if got := len(w.Log.All()); got != 200 {
		t.Errorf("%d accepts, want 200", got)
	}
}

func TestAKickIsTheGamesOwnDoing(t *testing.T) {
	l, w, at := mustServe(t)
	p := Start(context.Background(), l.Client, 0, Role{Endpoints: at[:1], ChatTick: time.Millisecond})
	if err := w.Servers[0].Kick(p.Reports()[0].Client); err != nil {
		t.Fatal(err)
	}
	<-p.sessions[0].played
	p.Logout()
	if broken := p.Broken(); len(broken) != 0 {
		t.Errorf("broken: %q", broken)
	}
}

func TestAServerThatDiesBreaksItsPlayers(t *testing.T) {
	l, w, at := mustServe(t)
	f := NewFleet(l.Client)
	for _, e := range at {
		f.Add(context.Background(), 1, Role{Endpoints: []Endpoint{e}, ChatTick: time.Millisecond, StateTick: inOrder})
	}
	w.Close()
	for _, p := range f.all() {
		<-p.sessions[0].played
		if broken := p.Broken(); len(broken) == 0 || !strings.Contains(broken[0], "cut") {
			t.Errorf("broken: %q, want a cut", broken)
		}
	}
	f.Close()
	w.Servers = nil
}

func TestAFailedLoginBreaksThePlayer(t *testing.T) {
	l, _, at := mustServe(t)
	nobody := Endpoint{"tcp", netip.AddrPortFrom(at[0].Addr.Addr(), port+1)}
	p := Start(context.Background(), l.Client, 0, Role{Endpoints: []Endpoint{nobody}})
	if broken := p.Broken(); len(broken) != 1 || !strings.Contains(broken[0], "login") {
		t.Errorf("broken: %q, want a login", broken)
	}
}

func TestACrashSendsNothing(t *testing.T) {
	l, w, at := mustServe(t)
	for _, e := range []Endpoint{at[0], at[2]} {
		s, err := Open(context.Background(), l.Client, netip.AddrPort{}, e)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ask(); err != nil {
			t.Fatal(err)
		}
		if err := s.Crash(); err != nil {
			t.Fatal(err)
		}
		// A later session is served over the same way, so a FIN or RST would
		// have reached the server's kernel before it.
		later, err := Open(context.Background(), l.Client, netip.AddrPort{}, e)
		if err != nil {
			t.Fatal(err)
		}
		if err := later.Ask(); err != nil {
			t.Fatal(err)
		}
		if state := mustState(t, w.Servers[0], s.Report().Client); state != established {
			t.Errorf("the server's socket is in state %d, want established", state)
		}
		later.Reset()
		if err := w.Servers[0].Kick(s.Report().Client); err != nil {
			t.Fatal(err)
		}
		w.Servers[0].Wait(func(tcp, _ int) bool { return tcp == 0 })
	}
}

// established is TCP_ESTABLISHED.
const established = 1

// mustState is the kernel's state of a server's connection.
func mustState(tb testing.TB, s *Server, client netip.AddrPort) uint8 {
	tb.Helper()
	s.mu.Lock()
	conn := s.conns[client]
	s.mu.Unlock()
	if conn == nil {
		tb.Fatalf("no connection of %s", client)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var info *unix.TCPInfo
	ctlErr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err := errors.Join(err, ctlErr); err != nil {
		tb.Fatal(err)
	}
	return info.State
}
