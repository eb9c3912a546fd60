package operate

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A closed service keeps its players and tells everybody who comes that it is busy, at once and as a kernel's sockets hear
// it; testers may come. It stays closed over a restart and a reboot, until it is opened.
func TestAClosedServiceTellsWhoComesAndKeepsWhoIsThere(t *testing.T) {
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	v4, v6, err := s.lab.ClientAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	clients := [][]netip.Addr{v4, v6}
	s.login(t, "blue", v4[0], v6[0])
	s.do(t, "testers", "world", "add", v4[2].String()) // before it is closed: this, too, writes the state file
	for _, by := range []struct {
		answer string
		hears  []error
		over   func() error // what it stays closed over
	}{
		{api.AnswerReset, []error{syscall.ECONNREFUSED}, func() error { return nil }},
		// A stack's word for "prohibited" differs by family. No start of the daemon comes before this reboot: it would write into
		// the state file what the kernel has.
		{api.AnswerICMP, []error{syscall.EHOSTUNREACH, syscall.EACCES, syscall.ECONNREFUSED}, s.reboot},
	} {
		s.do(t, "close", "world", "--answer", by.answer).mustBe(t, 0, "world: closed: new sessions are told so by "+by.answer+"\n", "")
		for _, of := range clients {
			for _, e := range s.endpointsOf(of[1]) {
				if err := s.hears(t, of[1], e); !isOneOf(err, by.hears) {
					t.Errorf("closed by %s: %s by %s: %v, want one of %v", by.answer, of[1], e.Network, err, by.hears)
				}
			}
		}
		s.fleet.Exchange(2)
		s.mustReach(t, v4[2], "green") // what is staged
		s.mustBeWhole(t)
		s.restartAfter(t, by.over)
		if closed := s.service(t).Closed; closed != by.answer {
			t.Errorf("it is closed by %q, want %s", closed, by.answer)
		}
		s.mustRefuse(t, v4[1])
	}
	s.do(t, "open", "world").mustBe(t, 0, "world: open: new sessions go to generation 1 (blue, version 1.9)\n", "")
	s.mustReach(t, v4[1], "blue")
}

// silence is the time after which nobody expects an answer any more.
const silence = 3 * time.Second

// hears begins a session, says something, and gives what its socket hears.
func (s *stage) hears(t *testing.T, from netip.Addr, e game.Endpoint) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	conn, err := s.lab.Client.DialFrom(ctx, e.Network, netip.AddrPortFrom(from, 0), e.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(silence)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "knock"); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func (s *stage) mustRefuse(t *testing.T, client netip.Addr) {
	t.Helper()
	for _, e := range s.endpointsOf(client) {
		if err := s.hears(t, client, e); !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("%s by %s: %v, want to be refused", client, e.Network, err)
		}
	}
}

// mustReach begins sessions of a client's family, and ends them.
func (s *stage) mustReach(t *testing.T, client netip.Addr, colour string) {
	t.Helper()
	for _, e := range s.endpointsOf(client) {
		session, err := game.Open(t.Context(), s.lab.Client, netip.AddrPortFrom(client, 0), e)
		if err != nil {
			t.Fatal(err)
		}
		err = session.Ask()
		session.Logout()
		if r := session.Report(); err != nil || r.Colour != colour {
			t.Errorf("%s by %s is on %q, want %s: %v %q", client, e.Network, r.Colour, colour, err, r.Broken)
		}
	}
}

// endpointsOf a client's family.
func (s *stage) endpointsOf(client netip.Addr) (out []game.Endpoint) {
	for _, e := range s.endpoints {
		if e.Addr.Addr().Is4() == client.Is4() {
			out = append(out, e)
		}
	}
	return out
}

func isOneOf(err error, want []error) bool {
	for _, w := range want {
		if errors.Is(err, w) {
			return true
		}
	}
	return false
}
