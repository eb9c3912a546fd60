package datapath

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

func TestEveryDropReason(t *testing.T) { runRows(t, dropRows()) }

func dropRows() (rows []row) {
	for _, f := range maps.Families() {
		rows = append(rows, malformedRows(f)...)
		rows = append(rows, fragmentRows(f)...)
		rows = append(rows, nobodyRows(f)...)
		rows = append(rows, noPinRows(f)...)
		rows = append(rows, noWayRows(f)...)
		rows = append(rows, ttlRows(f)...)
		rows = append(rows, badMapRows(f)...)
		rows = append(rows, unansweredRows(f)...)
		rows = append(rows, busyRows(f)...)
	}
	return rows
}

// nobodyRows: a new flow that nobody takes.
func nobodyRows(f maps.Family) []row {
	name := familyName(f) + " "
	return []row{
		dropped(name+"no live generation", gamePacket(f, syn).bytes(), "drop_no_generation").given(func(w *world) {
			w.SetSteer(game, maps.Steer{})
		}),
		dropped(name+"an empty pool", gamePacket(f, syn).bytes(), "drop_no_generation").given(func(w *world) {
			w.must(w.PutMaglev(blue, f, nil))
		}),
		dropped(name+"a table of backend id 0", gameDatagram(f).bytes(), "drop_no_generation").given(func(w *world) {
			w.must(w.PutMaglev(blue, f, []uint16{0}))
		}),
		dropped(name+"a prefix that has begun its new flows", gamePacket(f, syn).bytes(), "drop_new_flows").given(func(w *world) {
			w.limit(maps.NewFlows{Rate: 1, Burst: 1, Bits: [2]uint8{24, 64}}, 0)
			w.send(gamePacket(f, syn).at(7))
		}),
		dropped(name+"a listener that is closed", gamePacket(f, syn).bytes(), "drop_listener_closed").given(func(w *world) {
			w.closeListener(f)
		}),
	}
}

// noWayRows: the next hop, or the way back, is not known.
func noWayRows(f maps.Family) []row {
	back := shopPacket(f, syn).answer(31, shopInner, syn|ack)
	return []row{
		dropped(familyName(f)+" a VLAN that the host is not in", shopPacket(f, syn).change(func(f *frame) { f.tags = []tag{{0x8100, 101}} }).bytes(), "drop_other_vlan"),
		{
			name: familyName(f) + " next hop not resolved", in: gamePacket(f, syn).bytes(), verdict: drop,
			before: func(w *world) { w.SetHop(f, 11, maps.Hop{}) },
			moves:  moves{"drop_unresolved": 1, "blue.new": 1},
		},
		{
			name: familyName(f) + " no way back", in: back.bytes(), verdict: drop, moves: moves{"drop_unresolved": 1},
			before: func(w *world) {
				w.send(shopPacket(f, syn))
				w.loseIface()
			},
		},
	}
}

func ttlRows(f maps.Family) []row {
	ttl := func(ttl uint8) func(*frame) { return func(f *frame) { f.ttl = ttl } }
	answer := shopPacket(f, syn).answer(31, shopInner, syn|ack).change(ttl(1))
	return []row{
		{
			name: familyName(f) + " TTL 1 in nat", in: shopPacket(f, syn).change(ttl(1)).bytes(), verdict: drop,
			moves: moves{"drop_ttl": 1, "shop-blue.new": 1},
		},
		{
			name: familyName(f) + " TTL 0 in nat", in: shopDatagram(f).change(ttl(0)).bytes(), verdict: drop,
			moves: moves{"drop_ttl": 1, "shop-blue.new": 1},
		},
		{
			name: familyName(f) + " TTL 0 in dsr", in: gameDatagram(f).change(ttl(0)).bytes(), verdict: drop,
			moves: moves{"drop_ttl": 1, "blue.new": 1},
		},
		dropped(familyName(f)+" TTL 0 in dsr, a plain hit", gameDatagram(f).change(ttl(0)).bytes(), "drop_ttl").given(func(w *world) {
			w.send(gameDatagram(f))
			w.force(gameDatagram(f), maps.Established, 0)
		}),
		dropped(familyName(f)+" TTL 0 of an answer", answer.change(ttl(0)).bytes(), "drop_ttl").given(func(w *world) {
			w.send(shopPacket(f, syn))
		}),
		dropped(familyName(f)+" TTL 1 of an answer", answer.bytes(), "drop_ttl").given(func(w *world) {
			w.send(shopPacket(f, syn))
		}),
	}
}

// closeListener takes the game's TCP listener out of the configuration; its flows stay.
func (w *world) closeListener(f maps.Family) {
	w.must(w.PutListener(maps.Socket{Addr: gameVIP[f], Port: gamePort, Protocol: tcp},
		maps.Listener{VIP: vipID(gameVIP[f], tcp), Service: game, ID: gameTCP, Kind: maps.Closed}))
}

// malformedRows: to a listener in either mode, with lengths that contradict each other or the frame.
func malformedRows(f maps.Family) []row {
	rows := brokenRows(familyName(f)+" dsr: ", gamePacket(f, syn), gameDatagram(f))
	rows = append(rows, brokenRows(familyName(f)+" nat: ", shopPacket(f, ack), shopDatagram(f))...)
	if f == maps.IPv4 {
		return rows
	}
	for name, extensions := range map[string][]extension{
		"six extension headers":                slices.Repeat([]extension{{60, make([]byte, 7)}}, 6),
		"an extension header beyond the frame": {{0, []byte{255, 0, 0, 0, 0, 0, 0}}},
		"nothing behind an extension header":   {{60, make([]byte, 7)}, {59, make([]byte, 7)}},
	} {
		in := gamePacket(f, syn).change(func(f *frame) { f.extensions = extensions })
		rows = append(rows, dropped(familyName(f)+" "+name, in.bytes(), "drop_malformed"))
	}
	return rows
}

func brokenRows(prefix string, segment, datagram frame) []row {
	var rows []row
	for name, in := range map[string]frame{
		"TCP header too short":          segment.change(func(f *frame) { f.doff = 4 }),
		"TCP header beyond the packet":  segment.change(func(f *frame) { f.doff, f.padding = 6, 4 }),
		"length beyond the frame":       segment.change(func(f *frame) { f.lengthDelta = 1 }),
		"length within the TCP header":  segment.change(func(f *frame) { f.lengthDelta = -1 }),
		"length within the IPv4 header": segment.change(func(f *frame) { f.lengthDelta = -21; f.padding = 20 }),
		"length beyond a tagged frame":  segment.change(tagged).change(func(f *frame) { f.lengthDelta = 4 }),
		"no length":                     segment.change(func(f *frame) { f.lengthDelta = -[2]int{40, 20}[f.family()] }),
		"the greatest length":           segment.change(func(f *frame) { f.lengthDelta = 0xffff - [2]int{40, 20}[f.family()] }),
		"UDP shorter than its header":   datagram.change(func(f *frame) { f.udpDelta = -len(f.payload) - 1 }),
		"UDP of no length":              datagram.change(func(f *frame) { f.udpDelta = -len(f.payload) - 8 }),
		"UDP longer than the packet":    datagram.change(func(f *frame) { f.udpDelta = 1; f.padding = 40 }),
		"UDP beyond the frame":          datagram.change(func(f *frame) { f.lengthDelta = 100; f.udpDelta = 100 }),
		"UDP beyond a frame in QinQ":    datagram.change(twiceTagged).change(func(f *frame) { f.lengthDelta = 8; f.udpDelta = 8 }),
		"length within the UDP header":  datagram.change(func(f *frame) { f.lengthDelta = -len(f.payload) - 1 }),
	} {
		rows = append(rows, dropped(prefix+name, in.bytes(), "drop_malformed"))
	}
	return rows
}

// fragmentRows: a fragment that comes before its first, wherever it lies in its datagram, and whatever would be read
// there as ports.
func fragmentRows(f maps.Family) []row {
	var rows []row
	for name, at := range map[string]struct{ offset, more uint16 }{
		"a middle fragment": {185, 1}, "the last fragment": {370, 0},
	} {
		for kind, whole := range map[string]frame{
			"TCP": gamePacket(f, syn), "UDP": gameDatagram(f), "nat TCP": shopPacket(f, ack), "nat UDP": shopDatagram(f),
		} {
			in := whole.change(func(w *frame) { w.frag = at.more<<13 | at.offset })
			if f == maps.IPv6 {
				in.extensions = []extension{{60, make([]byte, 7)}, {44, []byte{0, byte(at.offset >> 5), byte(at.offset<<3 | at.more), 0, 0, 0, 1}}}
			}
			rows = append(rows, dropped(familyName(f)+" "+kind+": "+name, in.bytes(), "drop_fragment"))
		}
	}
	return rows
}

// noPinRows: a new flow that can't be pinned, and must not go without; a pin that can't be looked up, likewise.
func noPinRows(f maps.Family) []row {
	full := dropped(familyName(f)+" a full table while a generation drains", gamePacket(f, syn).bytes(), "drop_table_full")
	answer := dropped(familyName(f)+" a stripe that stays held, an answer of a flow in the overflow",
		shopPacket(f, syn).answer(31, shopInner, syn|ack).bytes(), "drop_stripe_busy")
	full.flows, answer.flows = tiny.flows, tiny.flows
	return []row{
		full.given(func(w *world) {
			w.fill(f, w.allSlots(f))
			w.flip(green)
		}),
		answer.given(func(w *world) {
			w.fill(f, w.mainSlots(f))
			w.send(shopPacket(f, syn))
			w.holdStripes()
		}),
		dropped(familyName(f)+" a stripe that stays held", gamePacket(f, syn).bytes(), "drop_stripe_busy").given((*world).holdStripes),
		dropped(familyName(f)+" a stripe that stays held, a datagram", gameDatagram(f).bytes(), "drop_stripe_busy").given((*world).holdStripes),
	}
}

// badMapRows: the pin names a backend that no array has an element for. The shipped arrays have one for each id of 16
// bits; those of the tests are shorter.
func badMapRows(f maps.Family) []row {
	const beyond = 0x8000
	lost := func(state maps.FlowState) func(w *world) {
		return func(w *world) {
			w.send(gamePacket(f, syn))
			w.force(gamePacket(f, syn), state, 0)
			w.repin(gamePacket(f, syn), beyond)
		}
	}
	return []row{
		dropped(familyName(f)+" a backend that no array holds", gamePacket(f, ack).bytes(), "drop_bad_map").given(lost(maps.Established)),
		dropped(familyName(f)+" a backend that no array holds, half-open", gamePacket(f, ack).bytes(), "drop_bad_map").given(lost(maps.HalfOpen)),
	}
}

// repin puts another backend into a flow's entry.
func (w *world) repin(f frame, backend uint16) {
	w.tb.Helper()
	flow := w.pin(f)
	old := w.Meta(flow.Family, flow.Slot)
	const shift = bpf.ProgramMetaBitsMETA_BACKEND_SHIFT
	if !w.SwapMeta(flow.Family, flow.Slot, old, old&^(0xffff<<shift)|maps.Meta(backend)<<shift) {
		w.tb.Fatal("the word changed")
	}
}

// holdStripes takes every stripe, as a CPU does that is stuck under it; letStripesGo gives them back.
func (w *world) holdStripes()  { w.setStripes(1) }
func (w *world) letStripesGo() { w.setStripes(0) }

func (w *world) setStripes(held uint64) {
	w.tb.Helper()
	stripes := w.maps["stripes"]
	for i := range stripes.MaxEntries() {
		w.must(stripes.Put(i, bpf.ProgramStripe{Held: held}))
	}
}

// Only what misses waits for a stripe. A client whose SYN was dropped sends it again, and is served once it is free.
func TestAHeldStripeHoldsUpNewFlowsOnly(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.holdStripes()
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(ack), blue) })
		w.expectMoves(moves{"drop_stripe_busy": 1}, func() { w.wantColour(f.at(2).flagged(syn), 0) })
		w.letStripesGo()
		w.expectMoves(moves{"blue.new": 1}, func() { w.wantColour(f.at(2).flagged(syn), blue) })
		checkReleased(t, w)
	})
}

// loseIface takes the interface away that answers would leave by, but for its MAC, by which frames are let in.
func (w *world) loseIface() {
	w.RemoveIface(inside)
	word := make([]byte, w.maps[".bss"].ValueSize())
	w.must(w.maps[".bss"].Lookup(uint32(0), &word))
	at := bytes.Index(word, []byte{inside, 0, 0, 0}) - 8
	copy(word[at:], hostMAC[:])
	w.must(w.maps[".bss"].Put(uint32(0), word))
}
