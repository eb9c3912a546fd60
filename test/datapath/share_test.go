package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// client is f from the nth client.
func (f frame) client(n uint32) frame {
	var b [16]byte
	copy(b[:], clientAddr(f.family()).AsSlice())
	size := clientAddr(f.family()).BitLen() / 8
	binary.BigEndian.PutUint32(b[size-4:], 0x0a000000+n)
	addr, _ := netip.AddrFromSlice(b[:size])
	f.from = netip.AddrPortFrom(addr, f.from.Port())
	return f
}

// sideOf is the generation that a fresh flow of a client goes to: its flow is forgotten again.
func (w *world) sideOf(f frame) uint16 {
	w.tb.Helper()
	_, out := w.run(w.tb, f.bytes())
	w.forget(f.family())
	return uint16(out[5]) / 10
}

// forget frees every flow; sessions of clients stay.
func (w *world) forget(f maps.Family) {
	for flow := range w.Flows() {
		if flow.Family == f && flow.Client.Port() != 0 {
			w.SwapMeta(f, flow.Slot, w.Meta(f, flow.Slot), 0)
		}
	}
}

// Raising the share moves nobody who is on the candidate; the same client stays on its side; 0 is nobody and 10,000
// everybody; and the share that is realised is the one that was set.
func TestAShareOfClientsGoesToTheCandidate(t *testing.T) {
	const clients = 4000
	eachSide(t, func(t *testing.T, w *world, f frame) {
		w.PutService(game, maps.Service{Name: "game", Timeouts: standard, Salt: 0x5a17})
		on := make([]bool, clients)
		for _, share := range []uint16{0, 1, 500, 2500, 2501, 10000} {
			w.SetSteer(game, maps.Steer{Live: blue, Candidate: green, Share: share})
			n := 0
			for c := range uint32(clients) {
				is := w.sideOf(f.client(c)) == green
				if on[c] && !is {
					t.Fatalf("client %d left the candidate as its share rose to %d", c, share)
				}
				if again := w.sideOf(f.client(c).at(50000)) == green; again != is {
					t.Fatalf("client %d is on both sides at %d", c, share)
				}
				if on[c] = is; is {
					n++
				}
			}
			if want := clients * int(share) / maps.WholeShare; n < want-want/8-40 || n > want+want/8+40 {
				t.Errorf("%d of %d clients at %d ten-thousandths, want about %d", n, clients, share, want)
			}
			if share == 10000 && n != clients || share == 0 && n != 0 {
				t.Errorf("%d of %d clients at %d", n, clients, share)
			}
		}
	})
}

func eachSide(t *testing.T, f func(t *testing.T, w *world, f frame)) {
	for _, fam := range maps.Families() {
		t.Run(familyName(fam), func(t *testing.T) {
			f(t, mustWorld(t, options{flows: 1000}, 1), gamePacket(fam, syn))
		})
	}
}

// Another release has another salt: other clients are first.
func TestTheSaltDecidesWhoIsFirst(t *testing.T) {
	eachSide(t, func(t *testing.T, w *world, f frame) {
		w.SetSteer(game, maps.Steer{Live: blue, Candidate: green, Share: 5000})
		differ := 0
		for c := range uint32(200) {
			w.PutService(game, maps.Service{Name: "game", Timeouts: standard, Salt: 1})
			one := w.sideOf(f.client(c))
			w.PutService(game, maps.Service{Name: "game", Timeouts: standard, Salt: 2})
			if w.sideOf(f.client(c)) != one {
				differ++
			}
		}
		if differ < 50 || differ > 150 {
			t.Errorf("%d of 200 clients are on another side with another salt, want about half", differ)
		}
	})
}

// Testers go to the candidate whatever its share, by the longest prefix that holds them; nobody else does.
func TestTestersGoToTheCandidate(t *testing.T) {
	eachSide(t, func(t *testing.T, w *world, f frame) {
		inside, beside := f.client(7), f.client(9)
		bits := inside.from.Addr().BitLen()
		prefix, err := inside.from.Addr().Prefix(bits - 1)
		w.must(err)
		w.SetSteer(game, maps.Steer{Live: blue, Candidate: green})
		w.must(w.PutTester(maps.Tester{Service: game, Prefix: prefix}, maps.FromOperator))
		w.must(w.PutTester(maps.Tester{Service: shop, Prefix: netip.PrefixFrom(beside.from.Addr(), bits)}, maps.FromFile))
		check := func(f frame, want uint16, when string) {
			t.Helper()
			if got := w.sideOf(f); got != want {
				t.Errorf("%s %v went to generation %d, want %d", when, f.from, got, want)
			}
		}
		check(inside, green, "a tester")
		check(beside, blue, "another service's tester")
		check(inside.flagged(ack), green, "in mid-stream, with no generation that drains,")
		w.SetSteer(game, maps.Steer{Live: blue})
		check(inside, blue, "without a candidate")
		w.SetSteer(game, maps.Steer{Live: green, Previous: blue, Candidate: green, Draining: true})
		check(inside.flagged(ack), blue, "a tester's orphan, while blue drains,")
		w.SetSteer(game, maps.Steer{Live: blue, Candidate: green})
		list, err := w.Testers()
		w.must(err)
		if len(list) != 2 || list[maps.Tester{Service: game, Prefix: prefix}] != maps.FromOperator {
			t.Errorf("testers %v", list)
		}
		w.must(w.RemoveTester(maps.Tester{Service: game, Prefix: prefix}))
		check(inside, blue, "who is no tester any more")
		w.must(w.RemoveTester(maps.Tester{Service: game, Prefix: prefix}))
	})
}
