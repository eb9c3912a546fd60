package operate

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// Two generations, both families, TCP and UDP, every state, two clients.
func TestFlowsListsWhatThePlayersKnowWhateverTheFilter(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	v4, v6, err := s.lab.ClientAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	home, guest := []netip.Addr{v4[0], v6[0]}, []netip.Addr{v4[1], v6[1]}
	old := append(s.login(t, "blue", home...).Sessions(), s.login(t, "blue", home...).Sessions()...)
	visit := s.mustSay(t, "blue", 2, guest...)
	quitter := s.mustSay(t, "blue", 2, home...)
	for _, session := range quitter {
		session.Logout()
	}
	s.awaitFlows(t, len(old), "--state", "established")
	s.do(t, "flip", "world").mustBe(t, 0, proof(green2, blue1, "16"), "")
	fresh, once := s.mustSay(t, "green", 2, home...), s.mustSay(t, "green", 1, home...)

	blue, green := slices.Concat(old, visit, quitter), slices.Concat(fresh, once)
	all := slices.Concat(blue, green)
	young := slices.Concat(visit, only(quitter, udp), fresh, only(once, tcp))
	for _, row := range []struct {
		want  []*game.Session
		flags []string
	}{
		{all, nil},
		{blue, []string{"--generation", "1"}},
		{green, []string{"--generation", "2"}},
		{nil, []string{"--generation", "3"}},
		{old, []string{"--state", "established"}},
		{only(once, udp), []string{"--state", "half-open"}},
		{only(quitter, tcp), []string{"--state", "closing"}},
		{young, []string{"--state", "young"}},
		{only(visit, ipv4), []string{"--client", v4[1].String()}},
		{only(visit, ipv6), []string{"--client", v6[1].String()}},
		{only(all, ipv4), []string{"--client", "198.51.100.0/24"}},
		{only(all, ipv6), []string{"--client", "2001:db8:c::/64"}},
		{only(visit, ipv6), []string{"--generation", "1", "--state", "young", "--client", v6[1].String()}},
		{only(slices.Concat(fresh, only(once, tcp)), ipv4), []string{"--generation", "2", "--state", "young", "--client", "198.51.100.0/28"}},
	} {
		s.mustList(t, row.want, row.flags...)
	}
	s.mustBeWhole(t)
}

func only(sessions []*game.Session, is func(game.Report) bool) []*game.Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s *game.Session) bool { return !is(s.Report()) })
}

func tcp(r game.Report) bool  { return r.Network == "tcp" }
func udp(r game.Report) bool  { return r.Network == "udp" }
func ipv4(r game.Report) bool { return r.Client.Addr().Is4() }
func ipv6(r game.Report) bool { return r.Client.Addr().Is6() }
