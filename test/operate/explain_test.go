package operate

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// explain is what `explain` says of a client.
func (s *stage) explain(t *testing.T, client netip.Addr, flags ...string) (out []api.Explanation) {
	t.Helper()
	decode(t, s.do(t, append([]string{"explain", client.String(), "-o", "json"}, flags...)...), func(e api.Explanation) { out = append(out, e) })
	return out
}

// mustExplain checks which packets are explained, of TCP and of UDP each, and which colours they go to.
func (s *stage) mustExplain(t *testing.T, client netip.Addr, want map[string]string, flags ...string) {
	t.Helper()
	n := 0
	for _, e := range s.explain(t, client, flags...) {
		colour := ""
		if e.Generation != nil {
			colour = e.Generation.Colour
		}
		if e.Verdict != api.VerdictForward || colour != want[e.Packet] || e.Packet == api.PacketExisting && e.MAC == "" {
			t.Errorf("explain %s %v: %+v, want %v", client, flags, e, want)
		}
		if e.Packet != api.PacketOrphan || e.Protocol == "tcp" {
			n++
		}
	}
	if per := 2 * len(want); n != per && n != per-1 {
		t.Errorf("explain %s %v: %d packets are explained, want %d", client, flags, n, per)
	}
}

// What explain says of players and of those to come is what they then see: by pins, testers, a share, and after a flip,
// which it knew before.
func TestExplainSaysWhereAClientGoes(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm})
	v4 := s.clients(t, 4)
	in, tester, other := v4[0], v4[1], v4[2]
	sessions := s.mustSay(t, "blue", 2, in)
	s.do(t, "testers", "world", "add", tester.String()).mustBe(t, 0, "…", "")
	pinned := map[string]string{api.PacketExisting: "blue", api.PacketNew: "blue"}
	s.mustExplain(t, in, pinned)
	for _, session := range sessions {
		r := session.Report()
		e := s.explain(t, in, "--service", "world", "--port", strconv.Itoa(int(r.Client.Port())))
		if len(e) == 0 || e[0].Packet != api.PacketExisting || e[0].Client != r.Client.String() || e[0].Backends[0] != s.lab.Backend(r.Backend).Own(lab.VIP4).String() {
			t.Errorf("%+v is explained as %+v", r, e)
		}
	}
	s.mustExplain(t, tester, map[string]string{api.PacketNew: "green"})
	s.mustSide(t, tester, "green")
	s.mustExplain(t, other, map[string]string{api.PacketNew: "blue"})
	s.mustSide(t, other, "blue")
	s.do(t, "share", "world", "50%").mustBe(t, 0, "…", "")
	for _, client := range v4[2:] {
		s.mustSide(t, client, s.explain(t, client)[0].Generation.Colour)
	}
	after := map[string]string{api.PacketExisting: "blue", api.PacketNew: "green", api.PacketOrphan: "blue"}
	s.mustExplain(t, in, after, "--if-flipped")
	s.do(t, "share", "world", "0%").mustBe(t, 0, "…", "")
	s.mustExplain(t, in, pinned)
	s.do(t, "flip", "world").mustBe(t, 0, "world: "+green2+" is live\n…", "")
	s.mustExplain(t, in, after)
	s.mustSide(t, other, "green")
	s.mustBeThere(t, sessions, "blue")

	s.do(t, "explain", in.String(), "--to", "9").mustBe(t, 2, "", "…there is no ipv4 listener that this is about…")
	s.do(t, "explain", "2001:db8::7").mustBe(t, 2, "", "…there is no ipv6 listener …")
	s.do(t, "explain", "127.0.0.1", "--service", "world").mustBe(t, 0, "…127.0.0.1 is a loopback address: no packet may come from there…", "")
	s.do(t, "explain", in.String(), "--service", "moon").mustBe(t, 2, "", "…service moon: there is none of this name\n…")
}

// mustBeThere checks that sessions go on where they are.
func (s *stage) mustBeThere(t *testing.T, sessions []*game.Session, colour string) {
	t.Helper()
	for _, session := range sessions {
		if err := session.Ask(); err != nil {
			t.Error(err)
		}
		if r := session.Report(); r.Colour != colour || len(r.Broken) != 0 {
			t.Errorf("a session that was to stay on %s: %+v", colour, r)
		}
	}
}
