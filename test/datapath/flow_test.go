package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// key is what tells flows apart.
type key struct {
	client netip.AddrPort
	port   uint16
	vip    uint16
}

func (f frame) key() key {
	return key{f.from, f.to.Port(), vipID(f.to.Addr(), f.proto)}
}

// pins are the flow entries that live, by flow. Two of one flow fail the test.
func (w *world) pins() map[key]maps.Flow {
	w.tb.Helper()
	out := map[key]maps.Flow{}
	for f := range w.Flows() {
		k := key{f.Client, f.Port, f.VIP}
		if old, twice := out[k]; twice {
			w.tb.Fatalf("flow %v has two entries: %+v and %+v", k, old, f)
		}
		out[k] = f
	}
	return out
}

// pin is a flow's entry; it must have one.
func (w *world) pin(f frame) maps.Flow {
	w.tb.Helper()
	flow, ok := w.pins()[f.key()]
	if !ok {
		w.tb.Fatalf("flow %v has no entry", f.key())
	}
	return flow
}

// backendOf is the backend that a dsr or nat frame was sent to.
func backendOf(out []byte) uint16 {
	if [4]byte(out[:4]) != [4]byte{0x02, 0, 0, 0x0b} {
		return 0
	}
	return binary.BigEndian.Uint16(out[4:])
}

// to sends a client's packet and returns the backend that it went to; 0 when it was dropped.
func (w *world) to(f frame) uint16 {
	w.tb.Helper()
	v, out := w.run(w.tb, f.bytes())
	switch v {
	case drop:
		return 0
	case tx, redirect:
		return backendOf(out)
	}
	w.tb.Fatalf("verdict %v for a listener's packet", v)
	return 0
}

// colourOf is the generation that a client's packet goes to.
func (w *world) colourOf(f frame) uint16 {
	w.tb.Helper()
	return w.to(f) / 10
}

// establish makes a flow established: a handshake, and ten ticks of traffic. Other flows age by as much.
func (w *world) establish(f frame) {
	w.tb.Helper()
	w.send(f.flagged(syn), f.flagged(ack))
	if f.to.Addr() == shopVIP[f.family()] {
		w.send(f.answer(w.pin(f).Backend, shopInner, ack))
	}
	w.age(tillEstablished)
	w.send(f.flagged(ack | psh).with([]byte("x")))
	if s := w.pin(f).State; s != maps.Established {
		w.tb.Fatalf("the flow is %s after ten ticks of traffic", maps.StateName(s))
	}
}

// tillEstablished is the number of ticks after which a flow is no longer young.
const tillEstablished = 10

// wantState fails when the flow is in another state.
func (w *world) wantState(f frame, want maps.FlowState) {
	w.tb.Helper()
	if got := w.pin(f).State; got != want {
		w.tb.Errorf("the flow is %s, want %s", maps.StateName(got), maps.StateName(want))
	}
}

// wantColour fails when the packet goes to a backend of another generation.
func (w *world) wantColour(f frame, want uint16) {
	w.tb.Helper()
	if got := w.colourOf(f); got != want {
		w.tb.Errorf("packet with flags %#x goes to generation %d, want %d", f.flags, got, want)
	}
}

// expectMoves runs something and fails when other counters moved, forwarded packets and bytes left out.
func (w *world) expectMoves(want moves, do func()) {
	w.tb.Helper()
	before := w.counters(w.tb)
	do()
	got := w.counters(w.tb).since(before)
	for _, name := range generations {
		delete(got, name+".packets")
		delete(got, name+".bytes")
	}
	if got.String() != want.String() {
		w.tb.Errorf("moved %v, want %v", got, want)
	}
}

// eachKind runs a test for TCP and UDP of the game in both families.
func eachKind(t *testing.T, test func(t *testing.T, w *world, f frame)) {
	t.Helper()
	for _, f := range maps.Families() {
		for name, packet := range map[string]frame{"TCP": gamePacket(f, 0), "UDP": gameDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				test(t, mustWorld(t, options{flows: 1000}, 3), packet)
			})
		}
	}
}

// eachFamily runs a test for TCP of the game in both families.
func eachFamily(t *testing.T, test func(t *testing.T, w *world, f frame)) {
	t.Helper()
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			test(t, mustWorld(t, options{flows: 1000}, 3), gamePacket(f, 0))
		})
	}
}
