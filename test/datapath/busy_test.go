package datapath

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// makeBusy has the game's new sessions told so.
func (w *world) makeBusy(answer maps.Busy) {
	s, _ := w.Tables.Service(game)
	s.Busy = answer
	w.PutService(game, s)
	w.SetSteer(game, maps.Steer{Live: blue, Busy: true})
}

// refusedTCP is a closed port's RST for a SYN: it acknowledges the SYN, and not the data that came with it.
func (f frame) refusedTCP() frame {
	r := f.resetFor()
	r.flags, r.seq, r.ack = rst|ack, 0, f.seq+1
	return r
}

// refusedBy is the ICMP error about a packet: the least quote that names its flow.
func (f frame) refusedBy(v4, v6 icmpMessage) frame {
	packet := f.change(func(f *frame) { f.tags, f.padding = nil, 0 })
	family := f.family()
	out := message(family, f.to.Addr(), f.from.Addr(), [2]icmpMessage{v4, v6}[family], ipOf(packet)[:[2]int{28, 48}[family]])
	out.dst, out.src, out.ttl, out.id, out.tags = f.src, f.dst, 64, 0, f.tags
	if family == maps.IPv4 {
		out.tos = 0xc0
	}
	return out
}

// Whoever begins a session with a busy service is told so at once, in the way that the service says.
func TestNewSessionsOfABusyServiceAreTold(t *testing.T) {
	port := func(f frame) frame { return f.refusedBy(icmpMessage{3, 3, 0}, icmpMessage{1, 4, 0}) }
	prohibited := func(f frame) frame { return f.refusedBy(icmpMessage{3, 13, 0}, icmpMessage{1, 1, 0}) }
	for _, f := range maps.Families() {
		for name, c := range map[string]struct {
			answer maps.Busy
			in     frame
			want   func(frame) frame
		}{
			"TCP":         {maps.BusyReset, gamePacket(f, syn), frame.refusedTCP},
			"UDP":         {maps.BusyReset, gameDatagram(f), port},
			"TCP by ICMP": {maps.BusyICMP, gamePacket(f, syn), prohibited},
			"UDP by ICMP": {maps.BusyICMP, gameDatagram(f), prohibited},
		} {
			for shape, change := range map[string]func(*frame){
				"": func(*frame) {}, "tag": tagged, "QinQ": twiceTagged, "padded": func(f *frame) { f.padding = 30 },
				"data": func(f *frame) { f.payload = make([]byte, 700) },
			} {
				t.Run(familyName(f)+" "+name+" "+shape, func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					w.makeBusy(c.answer)
					in := c.in.change(change)
					for range 2 {
						forwarded("", in, c.want(in), moves{"event_busy": 1}).check(t, w)
					}
					w.SetSteer(game, maps.Steer{Live: blue})
					forwarded("", in, in.steered(11), sent("blue", in.bytes()).and(moves{"blue.new": 1})).check(t, w)
				})
			}
		}
	}
}

// Sessions in progress, packets in mid-stream and testers go on.
func TestABusyServiceKeepsItsSessions(t *testing.T) {
	eachSide(t, func(t *testing.T, w *world, f frame) {
		w.send(f.client(1))
		w.makeBusy(maps.BusyReset)
		w.send(f.client(1))
		tester := f.client(2)
		w.must(w.PutTester(maps.Tester{Service: game, Prefix: netip.PrefixFrom(tester.from.Addr(), tester.from.Addr().BitLen())}, maps.FromOperator))
		if got := w.sideOf(tester); got != blue {
			t.Errorf("a tester of a busy service went to generation %d, want the live one", got)
		}
		if got := w.sideOf(f.client(3).flagged(ack)); f.proto == tcp && got != blue {
			t.Errorf("a packet in mid-stream went to generation %d, want the live one", got)
		}
	})
}

// A session that is taken from a busy service begins none elsewhere: its player is told.
func TestASessionThatLeavesABusyServiceIsTold(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			in := gameDatagram(f)
			w.send(in)
			w.makeBusy(maps.BusyReset)
			w.setState(f, maps.Evicting, false)
			told := in.refusedBy(icmpMessage{3, 3, 0}, icmpMessage{1, 4, 0})
			forwarded("", in, told, moves{"event_busy": 1, "blue.moved": 1}).check(t, w)
			forwarded("", in, told, moves{"event_busy": 1}).check(t, w)
			for slot := range w.SlotCount(f) {
				if m := w.Meta(f, slot); m.State() != maps.Free {
					t.Errorf("its entry is left: %v", m)
				}
			}
		})
	}
}

// busyRows: nobody is answered who would be one too many, or whose flow the least quote does not name.
func busyRows(f maps.Family) []row {
	above := dropped(familyName(f)+" a busy service, above the limit of answers", gamePacket(f, syn).bytes(), "drop_busy")
	long := gameDatagram(f).change(func(in *frame) {
		if f == maps.IPv4 {
			in.ipOptions = []byte{1, 1, 1, 0}
		} else {
			in.extensions = []extension{{0, make([]byte, 7)}}
		}
	})
	return []row{
		above.given(func(w *world) {
			w.makeBusy(maps.BusyReset)
			w.SetLimit(maps.LimitedBusy, 0)
		}),
		dropped(familyName(f)+" a busy service, and a header that is longer than the quote", long.bytes(), "drop_busy").given(func(w *world) {
			w.makeBusy(maps.BusyReset)
		}),
	}
}
