package operate

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// flows are what `flows` lists, or what players say that it should: protocol, client and VIP to colour and backend.
type flows map[string]string

func (s *stage) flows(t *testing.T, flags ...string) flows {
	t.Helper()
	out := flows{}
	decode(t, s.do(t, append([]string{"flows", "world", "-o", "json"}, flags...)...), func(f api.Flow) {
		key := fmt.Sprintf("%s %s to %s:%d", f.Protocol, f.Client, f.VIP, f.Port)
		if have, twice := out[key]; twice {
			t.Errorf("%s is listed twice: on %s and on %s", key, have, f.Backend)
		}
		out[key] = f.Generation.Colour + " " + f.Backend
	})
	return out
}

// awaitFlows waits until so many are listed.
func (s *stage) awaitFlows(t *testing.T, n int, flags ...string) {
	t.Helper()
	lab.Eventually(t, fmt.Sprintf("%d flows %v", n, flags), func() bool { return len(s.flows(t, flags...)) == n })
}

// truth is what sessions saw themselves.
func (s *stage) truth(sessions ...*game.Session) flows {
	out := flows{}
	for _, session := range sessions {
		r := session.Report()
		vip := lab.VIP4
		if r.Client.Addr().Is6() {
			vip = lab.VIP6
		}
		key := fmt.Sprintf("%s %s to %s:%d", r.Network, r.Client, vip, port)
		out[key] = fmt.Sprintf("%s %s", r.Colour, s.lab.Backend(r.Backend).Own(vip))
	}
	return out
}

func (s *stage) mustList(t *testing.T, sessions []*game.Session, flags ...string) {
	t.Helper()
	if have, want := s.flows(t, flags...), s.truth(sessions...); !maps.Equal(have, want) {
		t.Errorf("flows %s:\n%v\nwant\n%v", strings.Join(flags, " "), have, want)
	}
}

// mustSay opens a session at each endpoint, which a colour must take. It says so many words and then no more.
func (s *stage) mustSay(t *testing.T, colour string, words int, from ...netip.Addr) []*game.Session {
	t.Helper()
	var out []*game.Session
	for _, e := range s.endpoints {
		at := netip.AddrPort{}
		for _, a := range from {
			if a.Is4() == e.Addr.Addr().Is4() {
				at = netip.AddrPortFrom(a, 0)
			}
		}
		session, err := game.Open(t.Context(), s.lab.Client, at, e)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(session.Reset)
		for range words {
			if err := session.Ask(); err != nil {
				t.Fatal(err)
			}
		}
		if r := session.Report(); r.Colour != colour || len(r.Broken) != 0 {
			t.Errorf("a session that was to be on %s: %+v", colour, r)
		}
		out = append(out, session)
	}
	return out
}
