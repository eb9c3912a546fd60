package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/maps"
)

// In a table that is full all the time: an established flow keeps its slot and its backend, a packet with a pin follows
// it, no flow has two entries, and every packet is forwarded, but for SYNs while a generation drains. A sweep and a dump
// run beside each packet.
func TestACrowdedTableKeepsItsPromises(t *testing.T) {
	w := mustWorld(t, tiny, 3)
	rapid.Check(t, func(r *rapid.T) {
		w.restart()
		s := &crowded{w: w, kinds: gameKinds()}
		for _, fam := range maps.Families() {
			w.fill(fam, rapid.IntRange(0, w.allSlots(fam)).Draw(r, "established"))
		}
		r.Repeat(map[string]func(*rapid.T){
			"packet": s.packet, "packet2": s.packet, "packet3": s.packet, "packet4": s.packet,
			"time": func(r *rapid.T) { w.age(rapid.SampledFrom([]uint32{1, 5, 10, 31, 61}).Draw(r, "ticks")) },
			"flip": func(r *rapid.T) {
				s.steer = maps.Steer{Live: uint16(rapid.IntRange(1, 2).Draw(r, "live")), Draining: rapid.Bool().Draw(r, "draining")}
				w.SetSteer(game, s.steer)
			},
			"sweep": func(r *rapid.T) { w.mustSweep(t) },
		})
	})
}

// restart empties the table and the counters; the rest of the world stays.
func (w *world) restart() {
	w.tb.Helper()
	for _, name := range []string{"flows4", "flows6", "cold4", "cold6", "reasons", "generation_counters", "backend_counters"} {
		w.must(resetMap(name, w.maps[name]))
	}
	w.must(w.plane.countTroubles())
	w.SetSteer(game, maps.Steer{Live: blue})
	w.SetSteer(shop, maps.Steer{Live: shopBlue})
}

// gameKinds are packets to each listener of the game.
func gameKinds() (out []frame) {
	for _, f := range maps.Families() {
		second := gameDatagram(f)
		second.to = gameSecond(f)
		other := gamePacket(f, 0)
		other.to = netip.AddrPortFrom(otherVIP[f], gamePort)
		out = append(out, gamePacket(f, 0), gameDatagram(f), second, other)
	}
	return out
}

// drawPacket draws a client's packet; its numbers are few, so that they meet.
func drawPacket(r *rapid.T, kinds []frame) frame {
	f := rapid.SampledFrom(kinds).Draw(r, "listener").at(uint16(rapid.IntRange(1, 60).Draw(r, "crowd")))
	f.seq = rapid.Uint32Range(100, 102).Draw(r, "seq")
	f.ack = rapid.Uint32Range(100, 102).Draw(r, "ack")
	if f.proto == udp {
		return f
	}
	f.flags = rapid.SampledFrom([]uint8{syn, syn, ack, ack, ack | psh, fin | ack, fin, rst, rst | ack, syn | ack}).Draw(r, "flags")
	return f.with(make([]byte, rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(r, "payload")))
}

type crowded struct {
	w     *world
	steer maps.Steer
	kinds []frame
}

func (s *crowded) packet(r *rapid.T) {
	f := drawPacket(r, s.kinds)
	before := s.entries(r)
	counters := s.w.counters(s.w.tb)
	got, out := s.runBesideASweep(r, f.bytes())
	after := s.entries(r)
	moved := s.w.counters(s.w.tb).since(counters)
	_, pinned := after[f.key()]
	opens := f.proto == tcp && f.flags&(syn|ack) == syn
	switch {
	case got == drop && (moved["drop_table_full"] != 1 || !opens || !s.steer.Draining || pinned):
		r.Fatalf("dropped: moved %v, draining %v, pinned %v", moved, s.steer.Draining, pinned)
	case got == tx && pinned != (moved["event_unpinned"] == 0):
		r.Fatalf("pinned %v, moved %v", pinned, moved)
	case got == tx && pinned && backendOf(out) != after[f.key()].Backend:
		r.Fatalf("went to %d, its pin is %+v", backendOf(out), after[f.key()])
	case got != tx && got != drop:
		r.Fatalf("verdict %v", got)
	}
	s.checkKept(r, f, before, after)
}

// runBesideASweep: the sweep may free the very slot that the packet wants, and the dump may read one that is written.
func (s *crowded) runBesideASweep(r *rapid.T, in []byte) (verdict, []byte) {
	swept := make(chan error, 1)
	go func() {
		_, err := s.w.RunSweep(s.w.sweeper)
		for f := range s.w.Flows() {
			if err == nil && (f.State < maps.HalfOpen || f.Backend < 11 || f.Backend > 23 || f.VIP == 0 || f.Port == 0) {
				err = fmt.Errorf("a dump has %+v", f)
			}
		}
		swept <- err
	}()
	got, out := s.w.run(s.w.tb, in)
	if err := <-swept; err != nil {
		r.Fatal("beside the packet: ", err)
	}
	return got, out
}

// entries are the flow entries by flow.
func (s *crowded) entries(r *rapid.T) map[key]maps.Flow {
	out := map[key]maps.Flow{}
	for f := range s.w.Flows() {
		k := key{f.Client, f.Port, f.VIP}
		if old, twice := out[k]; twice {
			r.Fatalf("flow %v has two entries: %+v and %+v", k, old, f)
		}
		out[k] = f
	}
	return out
}

// checkKept: whoever else was established still is, as it was.
func (s *crowded) checkKept(r *rapid.T, f frame, before, after map[key]maps.Flow) {
	for k, b := range before {
		proto := uint8(udp)
		if b.VIP%2 == 1 {
			proto = tcp
		}
		alive := (0-b.Seen)&maps.TickMask <= standardOf(proto, b.State)
		if k != f.key() && b.State == maps.Established && alive && after[k] != b {
			r.Fatalf("established flow %v was %+v and is %+v", k, b, after[k])
		}
	}
}
