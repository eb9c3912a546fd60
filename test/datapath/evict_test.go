package datapath

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// At most as many sessions as were asked for are marked, of the service, generation and clients that were named.
func TestEvictMarksNoMoreThanAsked(t *testing.T) {
	eachSide(t, func(t *testing.T, w *world, f frame) {
		for c := range uint32(40) {
			w.send(f.client(c))
		}
		w.send(shopPacket(f.family(), syn))
		w.SetSteer(game, maps.Steer{Live: green, Previous: blue, Draining: true})
		w.send(f.client(100))
		evict := func(e maps.Eviction, most, want uint32) {
			t.Helper()
			n, err := w.Evict(w.evicter, e, most)
			w.must(err)
			if n != want {
				t.Errorf("%+v, at most %d: %d marked, want %d", e, most, n, want)
			}
			w.evicting += n
			s := w.mustSweep(t)
			if got := s.Sessions[11][maps.Evicting] + s.Sessions[21][maps.Evicting]; got != w.evicting {
				t.Errorf("the sweep counts %d evicting, want %d", got, w.evicting)
			}
		}
		client := func(n uint32, less int) netip.Prefix {
			a := f.client(n).from.Addr()
			p, err := a.Prefix(a.BitLen() - less)
			w.must(err)
			return p
		}
		evict(maps.Eviction{Service: game, Generation: blue, Client: client(7, 0)}, 10, 1)
		evict(maps.Eviction{Service: game, Generation: blue, Client: client(100, 0)}, 10, 0)
		evict(maps.Eviction{Service: game, Generation: blue}, 0, 0)
		evict(maps.Eviction{Service: game, Generation: blue}, 5, 5)
		evict(maps.Eviction{Service: game, Generation: blue, Client: client(32, 3)}, 100, 8-w.markedIn(f, 32, 40))
		evict(maps.Eviction{Service: game, Generation: blue}, 1000, 40-w.evicting)
		evict(maps.Eviction{Service: game}, 1000, 1)
	})
}

// markedIn counts the clients from a up to b whose flow is evicting.
func (w *world) markedIn(f frame, a, b uint32) (n uint32) {
	for c := a; c < b; c++ {
		if w.pin(f.client(c)).State == maps.Evicting {
			n++
		}
	}
	return n
}

// A session of a client is marked with all its flows, and so many sessions are marked as were asked for: whoever was left
// half marked would come back to where he was.
func TestEvictClientsMarksWholeSessions(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		const clients, most = 10, 4
		home := map[uint32]uint16{}
		for c := range uint32(clients) {
			home[c] = w.to(g.client(c))
			w.to(f.client(c).at(50001))
			w.to(g.client(c).at(50002))
		}
		w.flip(green)
		fam := f.family()
		want := maps.Wanted{Meta: func(m maps.Meta) bool {
			return m.State() == maps.HalfOpen || m.State() == maps.Young || m.State() == maps.Established
		}}
		if n := w.EvictClients(w.Services()[game].SessionVIP, want, most); n != most {
			t.Errorf("%d sessions marked, want %d", n, most)
		}
		entries := map[netip.Addr][2]int{} // marked, and not
		for flow := range w.Flows() {
			if flow.Family != fam {
				continue
			}
			n := entries[flow.Client.Addr()]
			if flow.State == maps.Evicting {
				n[0]++
			} else {
				n[1]++
			}
			entries[flow.Client.Addr()] = n
		}
		moved := 0
		for c := range uint32(clients) {
			n := entries[g.client(c).from.Addr()]
			if n != [2]int{4, 0} && n != [2]int{0, 4} {
				t.Errorf("client %d has %d entries marked and %d not", c, n[0], n[1])
			}
			got := w.to(g.client(c).at(50002))
			if n[0] == 0 && got != home[c] || n[0] > 0 && got/10 != green {
				t.Errorf("client %d, %d of whose entries are marked, is on %d", c, n[0], got)
			}
			if got/10 == green {
				moved++
			}
		}
		if moved != most {
			t.Errorf("%d clients moved, want %d", moved, most)
		}
	})
}
