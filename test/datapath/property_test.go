package datapath

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/maps"
)

// machine runs the program and the model side by side.
type machine struct {
	w     *world
	m     *model
	kinds []frame

	counted moves // after the last packet
}

// restart empties the table and the counters; the rest of the world stays.
func (w *world) restart() {
	w.tb.Helper()
	for _, name := range []string{"flows4", "flows6", "cold4", "cold6", "reasons", "generation_counters"} {
		w.must(resetMap(name, w.maps[name]))
	}
	w.SetSteer(game, maps.Steer{Live: blue})
	w.SetSteer(shop, maps.Steer{Live: shopBlue})
}

// The program and a plain model agree on every packet: its verdict, its backend, each counter, and the whole table; and
// no packet leaves a pin that holds, whatever was flipped meanwhile. Once for each listener, where the few flows meet
// every turn of a flow's life, and once for all of them.
func TestTheProgramAgreesWithTheModel(t *testing.T) {
	all := modelKinds()
	for i, kind := range all {
		t.Run(fmt.Sprintf("%s %d to port %d", familyName(kind.family()), i, kind.to.Port()), func(t *testing.T) {
			checkAgainstModel(t, []frame{kind})
		})
	}
	t.Run("all listeners", func(t *testing.T) { checkAgainstModel(t, all) })
}

func checkAgainstModel(t *testing.T, kinds []frame) {
	t.Helper()
	w := mustWorld(t, options{flows: 100}, 3)
	rapid.Check(t, func(r *rapid.T) {
		w.restart()
		s := &machine{w: w, m: newModel(3), kinds: kinds, counted: w.counters(t)}
		steps := map[string]func(*rapid.T){
			"client":  s.client,
			"client2": s.client, // most steps are packets
			"client3": s.client,
			"client4": s.client,
			"time":    s.time,
			"flip":    s.flip,
			"seal":    s.seal,
			"empty":   s.empty,
			"sweep":   s.sweep,
			"":        s.compare,
		}
		if kinds[len(kinds)-1].to.Port() == shopPort {
			steps["answer"], steps["answer2"] = s.answer, s.answer
		}
		r.Repeat(steps)
	})
}

// drawPacket draws a client's packet; its numbers are few, so that they meet.
func drawPacket(r *rapid.T, kinds []frame) frame {
	f := rapid.SampledFrom(kinds).Draw(r, "listener").at(rapid.SampledFrom([]uint16{1, 2}).Draw(r, "client"))
	return drawFlags(r, f)
}

func drawFlags(r *rapid.T, f frame) frame {
	f.seq = rapid.Uint32Range(100, 102).Draw(r, "seq")
	f.ack = rapid.Uint32Range(100, 102).Draw(r, "ack")
	if f.proto == udp {
		return f
	}
	f.flags = rapid.SampledFrom([]uint8{syn, syn, ack, ack, ack | psh, fin | ack, fin, rst, rst | ack, syn | ack}).Draw(r, "flags")
	return f.with(make([]byte, rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(r, "payload")))
}

func (s *machine) client(r *rapid.T) {
	f := drawPacket(r, s.kinds)
	pinned := s.holding(f)
	want := s.m.fromClient(f)
	got, out := s.step(r, f, want)
	if want.reason != "" {
		if got != drop {
			r.Fatalf("verdict %v, want a drop: %s", got, want.reason)
		}
		return
	}
	if id := backendOf(out); got != tx || id != want.backend {
		r.Fatalf("verdict %v, backend %d, want %d", got, id, want.backend)
	}
	if pinned != 0 && backendOf(out) != pinned {
		r.Fatalf("the flow was pinned to %d and went to %d", pinned, backendOf(out))
	}
}

// holding is the backend that a flow's packet may not leave, read from the table before the packet: 0 when the flow has
// no entry, or one that has ended.
func (s *machine) holding(f frame) uint16 {
	for flow := range s.w.Flows() {
		if (key{flow.Client, flow.Port, flow.VIP}) != f.key() {
			continue
		}
		silence := (0 - flow.Seen) & maps.TickMask
		opens := f.proto == tcp && f.flags&(syn|ack) == syn
		another := flow.State == maps.HalfOpen && !s.m.sentAgain(f)
		if silence > standardOf(f.proto, flow.State) || opens && (flow.State == maps.Closing || silence >= reuseAfter || another) {
			return 0
		}
		return flow.Backend
	}
	return 0
}

func (s *machine) answer(r *rapid.T) {
	f := rapid.SampledFrom(s.kinds).Filter(func(f frame) bool {
		return f.to.Addr() == shopVIP[f.family()]
	}).Draw(r, "listener").at(rapid.SampledFrom([]uint16{1, 2}).Draw(r, "client"))
	id := rapid.SampledFrom([]uint16{31, 32, 33, 41, 42, 43}).Draw(r, "backend")
	if e := s.m.flows[f.key()]; e != nil && rapid.Bool().Draw(r, "the pinned one") {
		id = e.backend
	}
	back := drawFlags(r, f.answer(id, shopInner, 0))
	want := s.m.fromBackend(f.key(), back, id)
	got, _ := s.step(r, back, want)
	if expect := map[bool]verdict{true: tx, false: pass}[want.reason == ""]; got != expect {
		r.Fatalf("verdict %v, want %v", got, expect)
	}
}

// step runs a packet and compares what moved.
func (s *machine) step(r *rapid.T, f frame, want outcome) (verdict, []byte) {
	before := s.counted
	got, out := s.w.run(s.w.tb, f.bytes())
	s.counted = s.w.counters(s.w.tb)
	if moved := s.counted.since(before); moved.String() != want.moves.String() {
		r.Fatalf("moved %v, want %v", moved, want.moves)
	}
	return got, out
}

func (s *machine) time(r *rapid.T) {
	ticks := rapid.SampledFrom([]uint32{1, 9, 10, 11, 30, 31, 60, 61, 90, 91, 289, 290, 299, 300, 7200, 7201}).Draw(r, "ticks")
	s.w.age(ticks)
	s.m.pass(ticks)
}

// steerBoth stores a steer word for a service in both worlds.
func (s *machine) steerBoth(service uint16, word maps.Steer) {
	s.w.SetSteer(service, word)
	s.m.steer[service] = word
}

func drawService(r *rapid.T) (service, blue, green uint16) {
	if rapid.Bool().Draw(r, "shop") {
		return shop, shopBlue, shopGreen
	}
	return game, 1, 2
}

func (s *machine) flip(r *rapid.T) {
	service, blue, green := drawService(r)
	live := s.m.steer[service].Live
	next := blue + green - live
	if live == 0 {
		next = blue
	}
	s.steerBoth(service, maps.Steer{Live: next, Previous: live, Draining: live != 0})
}

func (s *machine) seal(r *rapid.T) {
	service, _, _ := drawService(r)
	s.steerBoth(service, maps.Steer{Live: s.m.steer[service].Live, Draining: true})
}

func (s *machine) empty(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "rarely") == 0 {
		service, _, _ := drawService(r)
		s.steerBoth(service, maps.Steer{})
	}
}

func (s *machine) sweep(r *rapid.T) {
	sweep := s.w.mustSweep(s.w.tb)
	if freed, want := sweep.Tables[0].Freed+sweep.Tables[1].Freed, s.m.sweep(); freed != want {
		r.Fatalf("the sweep freed %d, want %d", freed, want)
	}
	want := map[uint16]maps.States{}
	for _, e := range s.m.flows {
		states := want[e.backend]
		states[e.state]++
		want[e.backend] = states
	}
	if fmt.Sprint(sweep.Sessions) != fmt.Sprint(want) {
		r.Fatalf("the sweep counts %v, want %v", sweep.Sessions, want)
	}
}

// compare: both tables hold the same entries.
func (s *machine) compare(r *rapid.T) {
	n := 0
	for f := range s.w.Flows() {
		n++
		e := s.m.flows[key{f.Client, f.Port, f.VIP}]
		if e == nil {
			r.Fatalf("an entry that the model has not: %+v", f)
		}
		if f.Backend != e.backend || f.State != e.state || f.Fin != e.fin || uint32(f.Age) != e.age || (0-f.Seen)&maps.TickMask != e.silence {
			r.Fatalf("entry %+v, model %+v", f, *e)
		}
	}
	if n != len(s.m.flows) {
		r.Fatalf("%d entries, the model has %d", n, len(s.m.flows))
	}
}
