package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// counts reads what was counted of each generation and backend.
func (p *plane) counts(tb testing.TB) maps.Counts {
	tb.Helper()
	counts, err := p.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	return counts
}

// What each backend counts is what came out of the program with its MAC, in each mode and family.
func TestEachBackendCountsWhatItIsSent(t *testing.T) {
	t.Parallel()
	w := mustWorld(t, options{}, 3)
	want, of := map[uint16]maps.Sent{}, map[uint16]maps.Sent{}
	for _, f := range maps.Families() {
		for _, like := range []frame{
			gamePacket(f, syn), gameDatagram(f), shopPacket(f, syn), shopDatagram(f), relayPacket(f, syn), relayDatagram(f),
		} {
			for client := range uint16(20) {
				packet := like.at(1000 + client).with(make([]byte, 7*client))
				for range 1 + client%3 {
					id := w.to(packet)
					more := maps.Sent{Packets: 1, Bytes: uint64(len(packet.bytes()))}
					want[id], of[id/10] = add(want[id], more), add(of[id/10], more)
				}
			}
		}
	}
	if len(want) != 9 || want[0] != (maps.Sent{}) {
		t.Fatalf("the packets went to backends %v, not to all nine of three services", want)
	}
	got := w.counts(t)
	for id, n := range want {
		if have, counted := got.Backend(id); !counted || have != n {
			t.Errorf("backend %d counted %+v (by itself: %t), was sent %+v", id, have, counted, n)
		}
	}
	for generation, n := range of {
		if _, have := got.Generation(generation); have != n {
			t.Errorf("generation %d counted %+v, was sent %+v", generation, have, n)
		}
	}
}

func add(a, b maps.Sent) maps.Sent {
	return maps.Sent{Packets: a.Packets + b.Packets, Bytes: a.Bytes + b.Bytes}
}

// Backends beyond those that have counters are counted with their generation.
func TestABackendWithoutACounterCountsWithItsGeneration(t *testing.T) {
	t.Parallel()
	first := uint16(maps.OwnCounters)
	w := mustWorld(t, options{backends: uint32(first) + 2}, 1)
	for i, id := range []uint16{first - 1, first, first + 1} {
		w.PutBackend(maps.IPv4, id, maps.Backend{
			Addr: backendAddr(maps.IPv4, id), Generation: blue, Service: game, Forwarding: maps.DSR, Use: maps.InPool,
		})
		w.SetHop(maps.IPv4, id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(id)})
		w.putMaglev(blue, maps.IPv4, []uint16{id})
		if to := w.to(gamePacket(maps.IPv4, syn).at(uint16(1000 + i))); to != id {
			t.Fatalf("a packet went to backend %d, not to %d", to, id)
		}
		counts := w.counts(t)
		if _, n := counts.Generation(blue); n.Packets != uint64(i+1) {
			t.Errorf("with backend %d the generation counted %d packets of %d", id, n.Packets, i+1)
		}
		n, counted := counts.Backend(id)
		if by := id < first; counted != by || (n.Packets == 1) != by {
			t.Errorf("backend %d counted %+v by itself: %t", id, n, counted)
		}
	}
}
