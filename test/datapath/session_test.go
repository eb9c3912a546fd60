package datapath

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// sessionVIPs are the VIP ids of the game's sessions.
var sessionVIPs = [2]uint16{60, 61}

const (
	linger    = 30
	lingerCap = 100
)

// mustParty is a world whose game has sessions of clients, and two backends a generation.
func mustParty(t *testing.T, a maps.Affinity) *world {
	w := mustWorld(t, options{flows: 1000}, 2)
	for f, id := range sessionVIPs {
		w.must(w.PutVIP(id, maps.VIP{Addr: [2]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[f], Protocol: maps.ProtocolSession}))
	}
	timeouts := standard
	timeouts[maps.Linger] = linger
	w.PutService(game, maps.Service{
		Name: "game", ReuseAfter: reuseAfter, Timeouts: timeouts, Affinity: a, LingerCap: lingerCap, SessionVIP: sessionVIPs,
	})
	return w
}

// eachParty runs for both families: f is a TCP packet of the client's, g a datagram.
func eachParty(t *testing.T, a maps.Affinity, run func(t *testing.T, w *world, f, g frame)) {
	for _, fam := range maps.Families() {
		t.Run(familyName(fam), func(t *testing.T) {
			run(t, mustParty(t, a), gamePacket(fam, syn), gameDatagram(fam))
		})
	}
}

// All flows of a client are on one backend, whatever their ports and protocol; other clients are on both.
func TestTheFlowsOfAClientAreOneSession(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		seen := map[uint16]bool{}
		before := w.counters(t)
		for c := range uint32(20) {
			home := w.to(f.client(c))
			seen[home] = true
			for port := uint16(50000); port < 50003; port++ {
				if a, b := w.to(f.client(c).at(port)), w.to(g.client(c).at(port)); a != home || b != home {
					t.Errorf("client %d is at home on %d, and on %d and %d", c, home, a, b)
				}
			}
		}
		if len(seen) != 2 {
			t.Errorf("clients on %v", seen)
		}
		if moved := w.counters(t).since(before); moved["blue.new"] != 20 {
			t.Errorf("moved %v, want 20 new sessions", moved)
		}
		s := w.mustSweep(t)
		if n := s.Sessions[11].Total() + s.Sessions[12].Total(); n != 20 {
			t.Errorf("the sweep counts %d sessions, want 20: %v", n, s.Sessions)
		}
		if n := s.Flows[11] + s.Flows[12]; n != 20*7 {
			t.Errorf("the sweep counts %d flows, want %d", n, 20*7)
		}
	})
}

// A session that began before a flip keeps the colour for the flows that it opens after.
func TestAFlowAfterAFlipJoinsItsClientsSession(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		home := w.to(f)
		w.flip(green)
		if got := w.to(g); got != home {
			t.Errorf("the datagram went to %d, the login is on %d", got, home)
		}
		if got := w.to(g.client(99)); got/10 != green {
			t.Errorf("a client who comes after the flip is on %d", got)
		}
	})
}

// With `client: pool` the flows of a client are in one generation, and on its backends by their own hash.
func TestOneColourAClient(t *testing.T) {
	eachParty(t, maps.AffinityClientPool, func(t *testing.T, w *world, f, g frame) {
		w.to(f)
		w.flip(green)
		seen := map[uint16]bool{}
		for port := uint16(50000); port < 50020; port++ {
			seen[w.to(g.at(port))] = true
		}
		if len(seen) != 2 || !seen[11] || !seen[12] {
			t.Errorf("flows on %v, want on both of blue", seen)
		}
	})
}

// When the last flow has ended the session lingers: who comes back within that time is on the same backend, counted as
// rejoined and not as new; who comes later is new.
func TestWhoComesBackWhileASessionLingersRejoinsIt(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		fam := f.family()
		home := w.to(g)
		w.flip(green)
		w.forget(fam)
		w.age(5)
		w.mustSweep(t)
		w.age(3)
		if s := w.mustSweep(t); s.Sessions[home][maps.Closing] != 1 || s.Flows[home] != 0 {
			t.Errorf("sessions %v, flows %v: want one that lingers", s.Sessions, s.Flows)
		}
		before := w.counters(t)
		if got := w.to(g.at(50001)); got != home {
			t.Errorf("who came back is on %d, was on %d", got, home)
		}
		if moved := w.counters(t).since(before); moved["blue.rejoined"] != 1 || moved["blue.new"] != 0 {
			t.Errorf("moved %v, want one rejoined", moved)
		}
		w.forget(fam)
		w.age(linger + 1)
		if got := w.to(g.at(50002)); got/10 != green {
			t.Errorf("who came back too late is on %d", got)
		}
	})
}

// A client who always keeps a flow open, and opens others, does not keep the draining colour for ever: from the first end
// of one of the session's flows, or from the flip, a cap counts. The flow that is there stays.
func TestAffinityDoesNotKeepADrainFromEnding(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		w.to(g)
		w.to(f.at(50002))
		w.flip(green)
		w.to(f.flagged(ack).at(50002))
		w.to(f.flagged(fin | ack).at(50002))
		w.mustSweep(t)
		if got := w.to(g.at(50003)); got/10 != blue {
			t.Errorf("within the cap a new flow is on %d", got)
		}
		w.setFirstEnd(f.family(), lingerCap)
		if got := w.to(g.at(50004)); got/10 != blue {
			t.Errorf("at the cap a new flow is on %d", got)
		}
		w.setFirstEnd(f.family(), lingerCap+1)
		if got := w.to(g.at(50005)); got/10 != green {
			t.Errorf("after the cap a new flow is on %d", got)
		}
		if got := w.to(g); got/10 != blue {
			t.Errorf("the flow that was there is on %d", got)
		}
	})
}

// The cap is for generations that drain.
func TestALiveSessionHasNoCap(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		home := w.to(g)
		w.to(f.flagged(syn).at(50002))
		w.to(f.flagged(ack).at(50002))
		w.to(f.flagged(fin | ack).at(50002))
		w.setFirstEnd(f.family(), 10*lingerCap)
		if got := w.to(g.at(50003)); got != home {
			t.Errorf("on %d, the session is on %d", got, home)
		}
	})
}

// Silence is all that ends a UDP flow. A client who gets a new port again and again, and says nothing on the old ones, is
// bounded as one who closes his connections is: while another flow of his goes on, and when none does.
func TestFlowsThatFellSilentHaveEnded(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		for _, goesOn := range []bool{true, false} {
			w.flip(blue)
			c := uint32(1)
			if goesOn {
				c = 2
			}
			stays := f.client(c).at(50002)
			home := w.to(g.client(c))
			if goesOn {
				w.to(stays)
				w.to(stays.flagged(ack))
			}
			w.flip(green)
			w.age(standard[maps.UDPNew] + 1)
			w.mustSweep(t)
			if got := w.to(g.client(c).at(50003)); got != home {
				t.Errorf("%t: within the cap a new flow is on %d, was on %d", goesOn, got, home)
			}
			w.setFirstEnd(f.family(), lingerCap+1)
			if got := w.to(g.client(c).at(50004)); got/10 != green {
				t.Errorf("%t: after the cap a new flow is on %d", goesOn, got)
			}
		}
	})
}

// What drains has an end, whether that is a generation or one machine: the cap is for backends without a weight too, counts
// from when that was, and is gone when the backend takes new sessions again.
func TestABackendThatTakesNoNewSessionsIsBoundedToo(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		fam := f.family()
		home := w.to(g)
		w.to(f.at(50002))
		w.to(f.flagged(ack).at(50002))
		w.to(f.flagged(fin | ack).at(50002))
		w.setFirstEnd(fam, 10*lingerCap)
		w.NoteBackend(fam, home, 0, maps.InPool, tickOf(lingerCap))
		w.putMaglev(blue, fam, []uint16{23 - home})
		if got := w.to(g.at(50003)); got != home {
			t.Errorf("within the cap a new flow is on %d, the session is on %d", got, home)
		}
		w.NoteBackend(fam, home, 1, maps.InPool, 0)
		w.NoteBackend(fam, home, 0, maps.Removed, tickOf(lingerCap+1))
		if got := w.to(g.at(50004)); got != 23-home {
			t.Errorf("after the cap a new flow is on %d", got)
		}
		if got := w.to(g); got != home {
			t.Errorf("the flow that was there is on %d, was on %d", got, home)
		}
	})
}

// What is refused at a closed listener comes back to nothing, and begins nothing.
func TestAClosedListenerTouchesNoSession(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		home := w.to(f)
		w.forget(f.family())
		w.age(1)
		w.mustSweep(t)
		w.putListener(g.to.Addr(), udp, g.to.Port(), maps.Listener{Service: game, ID: 3, Kind: maps.Closed})
		before := w.counters(t)
		if a, b := w.to(g), w.to(g.client(9)); a != 0 || b != 0 {
			t.Errorf("a closed listener led to %d and %d", a, b)
		}
		if moved := w.counters(t).since(before); moved["blue.rejoined"] != 0 || moved["blue.new"] != 0 {
			t.Errorf("moved %v at a closed listener", moved)
		}
		if s := w.mustSweep(t); s.Sessions[home][maps.Closing] != 1 || s.Sessions[11].Total()+s.Sessions[12].Total() != 1 {
			t.Errorf("sessions %v, want the one that lingers", s.Sessions)
		}
	})
}

// A session that moves is one, however many flows of its client's move with it.
func TestAMovedSessionCountsOnce(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		fam := f.family()
		w.to(g)
		w.to(g.at(50001))
		w.to(f.at(50002))
		w.flip(green)
		if n := w.EvictClients(w.Services()[game].SessionVIP, maps.Wanted{Meta: func(maps.Meta) bool { return true }}, 1); n != 1 {
			t.Fatalf("%d marked", n)
		}
		before := w.counters(t)
		w.run(t, f.flagged(ack).at(50002).bytes())
		for _, p := range []frame{g, g.at(50001), f.at(50002), g.at(50003)} {
			if got := w.to(p); got/10 != green {
				t.Errorf("%s is on %d", familyName(fam), got)
			}
		}
		if moved := w.counters(t).since(before); moved["blue.moved"] != 1 || moved["green.new"] != 1 {
			t.Errorf("moved %v, want one session", moved)
		}
	})
}

// setFirstEnd makes the sessions of a family that have seen a first end have seen it, and the flip, so many ticks ago; one
// has to.
func (w *world) setFirstEnd(f maps.Family, ago uint32) {
	w.tb.Helper()
	noted := false
	w.SetFlipped(game, -ago)
	name := [2]string{"cold4", "cold6"}[f]
	for flow := range w.Flows() {
		if flow.Family != f || flow.Client.Port() != 0 {
			continue
		}
		var cold bpf.ProgramCold
		w.must(w.maps[name].Lookup(flow.Slot, &cold))
		if cold.EndSeq == 0 {
			continue
		}
		cold.EndSeq, noted = -ago, true
		w.must(w.maps[name].Put(flow.Slot, cold))
	}
	if !noted {
		w.tb.Fatal("no first end is noted")
	}
}

// A session that is evicted moves with its client's next flow.
func TestAnEvictedSessionMoves(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		w.to(g)
		w.flip(green)
		n, err := w.Evict(w.evicter, maps.Eviction{Service: game, Generation: blue, Client: netip.PrefixFrom(g.from.Addr(), g.from.Addr().BitLen())}, 100)
		w.must(err)
		if n != 2 {
			t.Errorf("%d entries marked, want the session and its flow", n)
		}
		if got := w.to(g); got/10 != green {
			t.Errorf("the evicted flow is on %d", got)
		}
		if got := w.to(g.at(50001)); got/10 != green {
			t.Errorf("the evicted client's next flow is on %d", got)
		}
	})
}
