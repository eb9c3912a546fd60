package datapath

import (
	"fmt"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// resetOf is the RST of a client for its backend, before it is forwarded: headers alone.
func (f frame) resetOf() frame {
	f.flags, f.ack, f.payload, f.tcpOptions, f.ipOptions, f.extensions, f.padding = rst, 0, nil, nil, nil, nil, 0
	f.window, f.frag = noWindow, 0x4000
	return f
}

// resetFor is the VIP's RST for the client: its sequence is what the client expects next.
func (f frame) resetFor() frame {
	r := f.resetOf()
	r.seq = f.ack
	r.from, r.to, r.src, r.dst, r.ttl = f.to, f.from, f.dst, f.src, 64
	return r
}

// segments are packets of a TCP session in mid-stream.
func segments(in frame) map[string]frame {
	data := in.flagged(ack | psh).with([]byte("a move"))
	out := map[string]frame{
		"ACK": in.flagged(ack), "data": data, "FIN": in.flagged(fin | ack), "much data": data.with(make([]byte, 1200)),
		"options": data.change(func(f *frame) { f.tcpOptions = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2} }),
		"tag":     data.change(tagged), "QinQ": data.change(twiceTagged), "padded": in.flagged(ack).change(func(f *frame) { f.padding = 6 }),
		"urgent numbers": data.change(func(f *frame) { f.seq, f.ack = 0xffffffff, 0xfffffffe }),
		"class":          data.change(func(f *frame) { f.tos = 0xb8 }),
	}
	if in.family() == maps.IPv4 {
		out["IP options"] = data.change(func(f *frame) { f.ipOptions = []byte{0x94, 4, 0, 0, 1, 1, 1, 0} })
	} else {
		out["extension headers"] = data.change(func(f *frame) {
			f.extensions = []extension{{0, make([]byte, 7)}, {60, append([]byte{1}, make([]byte, 14)...)}}
		})
	}
	return out
}

// leaving are the ways in which a session comes to leave its backend.
var leaving = map[string]func(w *world, f frame){
	"evicted": func(w *world, f frame) { w.setState(f.family(), maps.Evicting, false) },
	"lost":    func(w *world, f frame) { w.LoseBackend(f.family(), w.pin(f).Backend) },
}

// The first packet of a session that an operator evicts becomes the client's RST for the backend, so that a server that
// pushes falls silent; each later one is answered by a RST, until the client's stack takes it.
func TestAnEvictedSessionIsReset(t *testing.T) {
	for _, f := range maps.Families() {
		for mode, c := range map[string]struct {
			in   frame
			want func(frame) frame
			to   string
		}{
			"dsr":  {gamePacket(f, ack), func(f frame) frame { return f.steered(11) }, "blue"},
			"nat":  {shopPacket(f, ack), func(f frame) frame { return f.translated(31, shopInner) }, "shop-blue"},
			"ipip": {relayPacket(f, ack), nil, "relay"},
		} {
			for name, in := range segments(c.in) {
				t.Run(familyName(f)+" "+mode+" "+name, func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					w.run(t, in.flagged(syn).bytes())
					w.run(t, in.flagged(ack).bytes())
					w.setState(f, maps.Evicting, false)
					told := sent(c.to, in.resetOf().bytes()).and(moves{"event_reset_backend": 1, c.to + ".moved": 1})
					if c.want != nil {
						forwarded("", in, c.want(in.resetOf()), told).check(t, w)
					} else {
						w.checkResetInIPIP(t, in, told)
					}
					w.wantState(in, maps.Evicting)
					for range 2 {
						forwarded("", in, in.resetFor(), moves{"event_reset_client": 1}).check(t, w)
					}
					checkReleased(t, w)
				})
			}
		}
	}
}

// checkResetInIPIP: as row.check, but for what differs by flow in the outer header.
func (w *world) checkResetInIPIP(t *testing.T, in frame, m moves) {
	t.Helper()
	before := w.counters(t)
	v, out := w.run(t, in.bytes())
	want := in.resetOf().relayed(51, in.family(), readOuter(out, 0))
	row{verdict: tx, out: want.bytes(), moves: m}.judge(t, v, out, w.counters(t).since(before))
}

// Nobody is there to be told of a backend that is lost: the client is at once.
func TestASessionOfALostBackendIsReset(t *testing.T) {
	for _, f := range maps.Families() {
		for _, in := range []frame{gamePacket(f, ack), shopPacket(f, ack), relayPacket(f, ack)} {
			for _, state := range []maps.FlowState{maps.HalfOpen, maps.Young, maps.Established, maps.Closing} {
				t.Run(fmt.Sprint(familyName(f), in.to, maps.StateName(state)), func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					w.run(t, in.flagged(syn).bytes())
					w.force(in, state, 0)
					flow := w.pin(in)
					w.LoseBackend(f, flow.Backend)
					name := generations[flow.Backend/10]
					forwarded("", in, in.resetFor(), moves{"event_reset_client": 1, name + ".moved": 1}).check(t, w)
					forwarded("", in, in.resetFor(), moves{"event_reset_client": 1}).check(t, w)
				})
			}
		}
	}
}

// A RST of the client's own tells the backend all that there is to tell.
func TestAClientsOwnResetOfAnEvictedSessionGoesThrough(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.send(gamePacket(f, syn), gamePacket(f, ack))
			w.setState(f, maps.Evicting, false)
			in := gamePacket(f, rst)
			forwarded("", in, in.steered(11), sent("blue", in.bytes())).check(t, w)
			if flow := w.pin(in); flow.State != maps.Evicting || !flow.Fin {
				t.Errorf("%+v: it has ended, and would be counted for as long as a silent session is", flow)
			}
		})
	}
}

// The client connects anew, from the same port: its SYN begins a session on what is live.
func TestAnEvictedClientLandsOnLive(t *testing.T) {
	for name, leave := range leaving {
		for _, f := range maps.Families() {
			t.Run(name+" "+familyName(f), func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				in := gamePacket(f, ack)
				w.establish(in)
				w.flip(green)
				leave(w, in)
				w.run(t, in.bytes())
				w.run(t, in.bytes())
				before := w.counters(t)
				w.wantColour(in.flagged(syn), green)
				if moved := w.counters(t).since(before); moved["green.new"] != 1 || moved["blue.moved"] != 0 {
					t.Errorf("moved %v", moved)
				}
				w.wantState(in, maps.HalfOpen)
				w.wantColour(in, green)
				w.wantState(in, maps.Young)
			})
		}
	}
}

// A SYN that comes before any other packet moves the session as well: it is counted then.
func TestASYNOfASessionThatLeavesMovesIt(t *testing.T) {
	for name, leave := range leaving {
		for _, f := range maps.Families() {
			t.Run(name+" "+familyName(f), func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				in := gamePacket(f, syn)
				w.establish(in)
				w.flip(green)
				leave(w, in)
				w.expectMoves(moves{"green.new": 1, "blue.moved": 1}, func() { w.wantColour(in, green) })
			})
		}
	}
}

// UDP has nobody to tell: its next packet goes to what is live.
func TestDatagramsOfASessionThatLeavesAreSteeredAnew(t *testing.T) {
	for name, leave := range leaving {
		for _, f := range maps.Families() {
			t.Run(name+" "+familyName(f), func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				in := gameDatagram(f)
				w.establish(in)
				w.flip(green)
				leave(w, in)
				w.expectMoves(moves{"green.new": 1, "blue.moved": 1}, func() { w.wantColour(in, green) })
				w.expectMoves(moves{}, func() { w.wantColour(in, green) })
				if n := len(w.pins()); n != 1 {
					t.Errorf("%d entries", n)
				}
			})
		}
	}
}

// In nat what the backend still sends reaches the client, until it falls silent.
func TestAnswersOfAnEvictedSessionStillGoBack(t *testing.T) {
	for _, f := range maps.Families() {
		for name, in := range map[string]frame{"TCP": shopPacket(f, ack), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(in.flagged(syn), in)
				w.setState(f, maps.Evicting, false)
				back := in.answer(31, shopInner, ack).with([]byte("pushed"))
				forwarded("", back, back.returned(), moves{}).check(t, w)
				w.wantState(in, maps.Evicting)
			})
		}
	}
}

// Other sessions of the backend, and backends that are not lost, stay as they are.
func TestOnlySessionsThatLeaveAreReset(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 3)
			for port := range uint16(64) {
				w.establish(gamePacket(f, ack).at(port))
			}
			lost := w.pin(gamePacket(f, ack).at(0)).Backend
			w.LoseBackend(f, lost)
			for port := range uint16(64) {
				in := gamePacket(f, ack).at(port)
				id := w.pin(in).Backend
				if id == lost {
					forwarded("", in, in.resetFor(), moves{"event_reset_client": 1, "blue.moved": 1}).check(t, w)
					continue
				}
				forwarded("", in, in.steered(id), sent("blue", in.bytes())).check(t, w)
			}
			w.SetHop(f, lost, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(lost)})
			in := gamePacket(f, ack).at(0) // it was told already, and will be until it connects anew
			forwarded("", in, in.resetFor(), moves{"event_reset_client": 1}).check(t, w)
		})
	}
}

// Above the limit a packet that would be answered is dropped; the backend is told all the same.
func TestTheFirstResetIsNotLimited(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.send(gamePacket(f, syn), gamePacket(f, ack))
			w.setState(f, maps.Evicting, false)
			w.SetLimit(maps.LimitedReset, 0)
			in := gamePacket(f, ack)
			forwarded("", in, in.resetOf().steered(11), sent("blue", in.resetOf().bytes()).and(moves{"event_reset_backend": 1, "blue.moved": 1})).check(t, w)
			dropped("", in.bytes(), "drop_reset").check(t, w)
		})
	}
}
