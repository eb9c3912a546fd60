package operate

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/control"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/test/game"
)

// clients are so many IPv4 addresses of players.
func (s *stage) clients(t *testing.T, n int) []netip.Addr {
	t.Helper()
	v4, _, err := s.lab.ClientAddresses(n)
	if err != nil {
		t.Fatal(err)
	}
	return v4
}

// sideOf is the colour that takes new TCP and UDP sessions of a client, who leaves again.
func (s *stage) sideOf(t *testing.T, client netip.Addr) string {
	t.Helper()
	colour := ""
	for _, e := range s.endpoints {
		session, err := game.Open(t.Context(), s.lab.Client, netip.AddrPortFrom(client, 0), e)
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Ask(); err != nil {
			t.Fatal(err)
		}
		session.Logout()
		r := session.Report()
		if colour != "" && r.Colour != colour || len(r.Broken) != 0 {
			t.Fatalf("%s is on %s and on %s: %q", client, colour, r.Colour, r.Broken)
		}
		colour = r.Colour
	}
	return colour
}

func (s *stage) mustSide(t *testing.T, client netip.Addr, colour string) {
	t.Helper()
	if got := s.sideOf(t, client); got != colour {
		t.Errorf("%s went to %s, want %s", client, got, colour)
	}
}

// restartAfter ends the daemon, lets something happen, and starts it.
func (s *stage) restartAfter(t *testing.T, between func() error) {
	t.Helper()
	if err := errors.Join(s.host.Stop(), between()); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.host.AwaitHops(t)
}

// reboot takes away what a reboot does.
func (s *stage) reboot() error {
	return s.lab.LB.Do(func() error { return errors.Join(loader.Detach(s.host.Options().BPFDir), control.RemoveVIPs()) })
}

// Testers are those whom the operator and the file name, the operator's over a restart and a reboot.
func TestTestersGoToTheCandidate(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	v4 := s.clients(t, 3)
	s.login(t, "blue", v4[1])
	s.do(t, "testers", "world").mustBe(t, 0, "world: testers go to "+green2+"\nno testers\n", "")
	list := "world: testers go to " + green2 + "\nTESTER…NAMED BY\n" + v4[1].String() + "/32…operator\n"
	s.do(t, "testers", "world", "add", v4[1].String()).mustBe(t, 0, list, "")
	s.do(t, "testers", "world", "add", "2001:db8::/32").mustBe(t, 5, "", "…the service has no ipv6 listener\n")
	s.do(t, "testers", "world", "remove", v4[2].String()).mustBe(t, 2, "", "…"+v4[2].String()+"/32 is no tester\n…")
	sides := func(tester, other string) {
		t.Helper()
		s.mustSide(t, v4[1], tester)
		s.mustSide(t, v4[2], other)
	}
	sides("green", "blue")
	s.configure(t, s.yaml()+"    release: {testers: ["+v4[2].String()+"]}\n")
	s.do(t, "reload").mustBe(t, 0, "SERVICE  CHANGE\nworld    new tester "+v4[2].String()+"/32\n", "")
	sides("green", "green")
	s.do(t, "testers", "world", "remove", v4[2].String()).mustBe(t, 5, "", "…is of the configuration file: take it out there and reload\n")
	s.configure(t, s.yaml())
	s.do(t, "reload").mustBe(t, 0, "SERVICE  CHANGE\nworld    tester "+v4[2].String()+"/32 is removed\n", "")
	sides("green", "blue")
	s.mustBeWhole(t) // the one who was in stays where he is

	s.fleet.Logout(1)
	s.restartAfter(t, func() error { return nil })
	sides("green", "blue")
	s.restartAfter(t, s.reboot)
	s.do(t, "testers", "world").mustBe(t, 0, list, "")
	sides("green", "blue")
	s.do(t, "flip", "world").mustBe(t, 0, "world: "+green2+" is live\n…", "")
	s.do(t, "testers", "world").mustBe(t, 0, "world: nothing is staged: …", "")
	s.do(t, "testers", "world", "remove", v4[1].String()).mustBe(t, 0, "…no testers\n", "")
	sides("green", "green")
}

// canary is what status says of the candidate.
func (s *stage) canary(t *testing.T) api.Canary {
	t.Helper()
	c := s.service(t).Canary
	if c == nil {
		t.Fatal("status has no candidate")
	}
	return *c
}

// A larger share takes everybody of a smaller one along, a client stays on his side over a reboot, and what status says of
// it is what the players know.
func TestAShareOfTheClientsGoesToTheCandidate(t *testing.T) {
	t.Parallel()
	const clients = 40
	s := mustStage(t, setting{})
	v4 := s.clients(t, clients)
	s.login(t, "blue")
	var green, blue netip.Addr // clients of each side at 50%
	on, last := map[netip.Addr]bool{}, 0
	for _, share := range []string{"20%", "50%", "100%"} {
		s.do(t, "share", "world", share).mustBe(t, 0, "world: new sessions of "+share+" of the clients go to "+green2+"\n…", "")
		n := 0
		for _, client := range v4 {
			is := s.sideOf(t, client) == "green"
			if on[client] && !is {
				t.Errorf("%s left the candidate as its share rose to %s", client, share)
			}
			if on[client] = is; is {
				n++
			}
			if share == "50%" && is {
				green = client
			} else if share == "50%" {
				blue = client
			}
		}
		if n <= last || share == "100%" && n != clients {
			t.Errorf("%d of %d clients at %s, %d before", n, clients, share, last)
		}
		last = n
		if c := s.canary(t); c.NewOnCandidate != 2*uint64(n) || c.NewOnLive != 2*uint64(clients-n) || *c.Realised != 100*float64(n)/clients {
			t.Errorf("%d of %d clients went there, status says %+v", n, clients, c)
		}
	}
	s.do(t, "share", "world", "0%").mustBe(t, 0, "…", "")
	s.mustSide(t, green, "blue")
	s.mustBeWhole(t)
	s.do(t, "share", "world", "50%").mustBe(t, 0, "…", "")
	s.fleet.Logout(1)
	s.restartAfter(t, s.reboot)
	s.mustSide(t, green, "green")
	s.mustSide(t, blue, "blue")
	if c := s.canary(t); c.TenThousandths != 5000 || c.NewOnCandidate != 2 || c.NewOnLive != 2 {
		t.Errorf("after a reboot: %+v", c)
	}
	guest := s.login(t, "green", green)
	s.do(t, "flip", "world").mustBe(t, 0, "world: "+green2+" is live\n…new sessions there since:  0\n…", "")
	s.mustSide(t, blue, "green")
	s.do(t, "share", "world").mustBe(t, 5, "", "…there is no candidate …")
	guest.Exchange(2)
	s.mustBeWhole(t)
}

// A client's TCP session is cut and his UDP session goes on with the new colour, each with its next packet; then the rest
// follows, and the old colour is empty.
func TestEvictionMovesWhoIsAskedForAndNobodyElse(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm})
	v4 := s.clients(t, 2)
	s.login(t, "blue", v4[0])
	guest := s.mustSay(t, "blue", 2, v4[1])
	s.do(t, "evict", "world", "--generation", "1").mustBe(t, 5, "", "…generation 1 is live: …")
	s.do(t, "flip", "world").mustBe(t, 0, proof(green2, blue1, "4"), "")
	s.do(t, "evict", "world", "--generation", "1", "--client", v4[1].String(), "--batch", "1", "--every", "100ms").mustBe(t, 0,
		fmt.Sprintf("world: %[1]s: marked 1 of 2, 0 moved, 1 evicting\nworld: %[1]s: marked 2 of 2, 0 moved, 2 evicting\n"+
			"world: %[1]s: marked 2 of 2, 0 moved, 2 evicting\n", blue1), "")
	s.awaitFlows(t, 2, "--state", "evicting", "--client", v4[1].String())
	for _, session := range guest {
		err := session.Ask()
		switch r := session.Report(); r.Network {
		case "tcp":
			if err == nil || !r.Over {
				t.Errorf("the TCP session goes on: %+v, %v", r, err)
			}
		case "udp":
			if err != nil || len(r.Broken) == 0 || r.Broken[0] != "foreign answer: 3 from green1, after blue1" {
				t.Errorf("the UDP session: %+v, %v", r, err)
			}
		}
	}
	s.mustSay(t, "green", 2, v4[1])
	if g := s.generation(t, 1); g.Moved != 2 || g.NewSinceFlip != 0 {
		t.Errorf("%+v", g)
	}
	// Nobody else noticed anything.
	s.fleet.Exchange(2)
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		t.Errorf("somebody else was touched: %q", totals.Reasons)
	}
	// Who plays on is moved at once; nothing but silence is left behind.
	var last api.EvictProgress
	decode(t, s.do(t, "evict", "world", "--generation", "1", "--every", "1s", "-o", "json"), func(p api.EvictProgress) { last = p })
	if last.Found != 2 || last.Marked != 2 || last.Moved != 2 || !last.Done {
		t.Errorf("%+v", last)
	}
}

// With affinity client a session is a client's: batches of one move one player after the other, with all his flows.
func TestEvictionMovesClientsWhole(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm})
	s.configure(t, strings.Replace(s.yaml(), "    forwarding:", "    affinity: client\n    forwarding:", 1))
	s.do(t, "reload").mustBe(t, 0, "…", "")
	v4 := s.clients(t, 3)
	guests := append(s.mustSay(t, "blue", 2, v4[0]), s.mustSay(t, "blue", 2, v4[1])...)
	s.do(t, "flip", "world").mustBe(t, 0, "world: "+green2+" is live\n…", "")
	var all []api.EvictProgress
	decode(t, s.do(t, "evict", "world", "--generation", "1", "--batch", "1", "--every", "100ms", "-o", "json"), func(p api.EvictProgress) {
		all = append(all, p)
	})
	if last := all[len(all)-1]; all[0].Found != 2 || all[0].Marked != 1 || last.Marked != 2 || !last.Done {
		t.Errorf("%+v", all)
	}
	s.awaitFlows(t, 0, "--generation", "1", "--state", "established")
	s.awaitFlows(t, 0, "--generation", "1", "--state", "young")
	for _, session := range guests {
		err := session.Ask()
		if r := session.Report(); (r.Network == "tcp") != (err != nil) || r.Network == "udp" && len(r.Broken) == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	s.mustSay(t, "green", 2, v4[0])
	s.mustSay(t, "green", 2, v4[1])
}
