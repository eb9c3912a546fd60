package datapath

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// mssOption announces a largest segment.
func mssOption(mss int) []byte { return binary.BigEndian.AppendUint16([]byte{2, 4}, uint16(mss)) }

// padded is a list of options filled up to whole words.
func padded(options ...[]byte) []byte {
	all := slices.Concat(options...)
	return append(all, make([]byte, (4-len(all)%4)%4)...)
}

// mssPlaces put the option behind others, on even bytes and on odd ones.
func mssPlaces(mss []byte) map[string][]byte {
	nop, scale, permitted, stamp := []byte{1}, []byte{3, 3, 7}, []byte{4, 2}, []byte{8, 10, 1, 2, 3, 4, 0, 0, 0, 0}
	out := map[string][]byte{
		"alone": padded(mss), "last of ten bytes": padded(scale, scale, mss), "behind all": padded(permitted, stamp, nop, scale, mss),
		"before all": padded(mss, permitted, stamp, nop, scale), "before an unknown one": padded(mss, []byte{254, 6, 1, 2, 3, 4}),
		"behind an unknown one": padded([]byte{254, 7, 1, 2, 3, 4, 5}, mss), "at the end of 40 bytes": padded(make40(), mss),
		"behind Fast Open's": padded([]byte{34, 10, 1, 2, 3, 4, 5, 6, 7, 8}, nop, mss),
	}
	for n := range 10 {
		out[fmt.Sprint("behind ", n, " no-operations")] = padded(slices.Repeat(nop, n), mss)
	}
	return out
}

// make40 are options of 36 bytes.
func make40() []byte {
	return slices.Concat([]byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, []byte{254, 26}, make([]byte, 24))
}

// A SYN announces no more than the way has room for, wherever the option stands; the checksum is right.
func TestMSSIsLowered(t *testing.T) {
	for _, f := range maps.Families() {
		most := room - ipHeader[f] - 20
		for mode, c := range map[string]struct {
			in   frame
			id   uint16
			want func(frame) frame
			to   string
		}{
			"dsr":  {gamePacket(f, syn), 11, func(f frame) frame { return f.steered(11) }, "blue"},
			"nat":  {shopPacket(f, syn), 31, func(f frame) frame { return f.translated(31, shopInner) }, "shop-blue"},
			"ipip": {relayPacket(f, syn), 51, nil, "relay"},
		} {
			t.Run(familyName(f)+" "+mode, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.clampMSS()
				w.narrow(f, c.id, room)
				port := uint16(1000)
				for name, of := range map[string]func(int) map[string][]byte{"": func(n int) map[string][]byte { return mssPlaces(mssOption(n)) }} {
					for _, mss := range []int{0, 1, most - 1, most, most + 1, 1460, 8960, 0x7fff, 0xffff} {
						was, is := of(mss), of(min(mss, most))
						for place := range was {
							for _, more := range []moves{{c.to + ".new": 1}, {}} { // a SYN sent again is one too
								in := c.in.at(port)
								want := in
								in.tcpOptions, want.tcpOptions = was[place], is[place]
								m := more.and(moves{})
								if mss > most {
									m["event_mss"] = 1
								}
								t.Run(fmt.Sprint(name, mss, " ", place), func(t *testing.T) { w.checkMSS(t, in, want, c.id, c.want, c.to, m) })
							}
							port++
						}
					}
				}
			})
		}
	}
}

// checkMSS runs a SYN; want is what the client would have sent, had it known.
func (w *world) checkMSS(t *testing.T, in, want frame, id uint16, forward func(frame) frame, to string, m moves) {
	t.Helper()
	m = m.and(sent(to, in.bytes()))
	if forward != nil {
		forwarded("", in, forward(want), m).check(t, w)
		return
	}
	before := w.counters(t)
	v, out := w.run(t, in.bytes())
	row{verdict: tx, out: want.relayed(id, in.family(), readOuter(out, 0)).bytes(), moves: m}.judge(t, v, out, w.counters(t).since(before))
}

// clampMSS makes every service lower it.
func (w *world) clampMSS() {
	for index, s := range w.Services() {
		s.ClampMSS = true
		w.PutService(index, s)
	}
}

// What is no SYN, does not parse, is UDP, or is of a service that does not ask for it, keeps its bytes.
func TestMSSIsLeftAlone(t *testing.T) {
	for _, f := range maps.Families() {
		with := func(flags uint8, options []byte) frame {
			return gamePacket(f, flags).change(func(f *frame) { f.tcpOptions = options })
		}
		narrow := func(w *world) { w.narrow(f, 11, room) }
		clamp := func(w *world) {
			w.clampMSS()
			narrow(w)
		}
		rows := []row{
			forwarded(familyName(f)+" not asked for", with(syn, mssOption(1460)), with(syn, mssOption(1460)).steered(11),
				began("blue", with(syn, mssOption(1460)).bytes())).given(narrow),
		}
		for name, in := range map[string]frame{
			"no options":                     gamePacket(f, syn),
			"end of options before":          with(syn, padded([]byte{0}, mssOption(1460))),
			"an option of no length before":  with(syn, padded([]byte{254, 0}, mssOption(1460))),
			"an option of length 1 before":   with(syn, padded([]byte{254, 1}, mssOption(1460))),
			"an option beyond the header":    with(syn, padded([]byte{254, 40}, mssOption(1460))),
			"an MSS of three bytes":          with(syn, padded([]byte{2, 3, 0xff, 1})),
			"an MSS of six bytes":            with(syn, padded([]byte{2, 6, 0xff, 0xff, 0, 0})),
			"an MSS cut off by the header":   with(syn, []byte{1, 1, 2, 4}).with([]byte{0xff, 0xff}),
			"an MSS in the payload":          gamePacket(f, syn).with(mssOption(1460)),
			"an MSS in another option":       with(syn, padded([]byte{254, 6, 2, 4, 0xff, 0xff})),
			"an MSS behind an MSS that fits": with(syn, padded(mssOption(100), mssOption(1460))),
		} {
			rows = append(rows, forwarded(familyName(f)+" "+name, in, in.steered(11), began("blue", in.bytes())).given(clamp))
		}
		later := with(ack, mssOption(1460))
		rows = append(rows, forwarded(familyName(f)+" no SYN", later, later.steered(11), sent("blue", later.bytes())).given(func(w *world) {
			clamp(w)
			w.send(gamePacket(f, syn))
		}))
		datagram := gameDatagram(f).with(slices.Concat(make([]byte, 12), mssOption(1460), make([]byte, 4)))
		rows = append(rows, forwarded(familyName(f)+" UDP", datagram, datagram.steered(11), began("blue", datagram.bytes())).given(clamp))
		runRows(t, rows)
	}
}

// Headers before TCP move the option, not the rule.
func TestMSSIsLoweredBehindOtherHeaders(t *testing.T) {
	for _, f := range maps.Families() {
		for name, in := range shapes(f, shopPacket(f, syn), shopDatagram(f)) {
			if in.proto != tcp || len(in.payload) > 0 {
				continue
			}
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.clampMSS()
				w.narrow(f, 31, room)
				in, want := in, in
				in.tcpOptions, want.tcpOptions = padded([]byte{1}, mssOption(1460)), padded([]byte{1}, mssOption(room-ipHeader[f]-20))
				w.checkMSS(t, in, want, 31, func(f frame) frame { return f.translated(31, shopInner) }, "shop-blue",
					moves{"event_mss": 1, "shop-blue.new": 1})
			})
		}
	}
}

// In nat what the backend announces is lowered too: the client sends no larger segments then than the way to it takes.
func TestTheMSSOfAnswersIsLowered(t *testing.T) {
	for _, f := range maps.Families() {
		most := room - ipHeader[f] - 20
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.clampMSS()
			w.narrow(f, 31, room)
			w.send(shopPacket(f, syn))
			for _, mss := range []int{0, most - 1, most, most + 1, 1460, 0xffff} {
				was, is := mssPlaces(mssOption(mss)), mssPlaces(mssOption(min(mss, most)))
				for place := range was {
					in := shopPacket(f, syn).answer(31, shopInner, syn|ack)
					want := in.returned()
					in.tcpOptions, want.tcpOptions = was[place], is[place]
					m := moves{}
					if mss > most {
						m["event_mss"] = 1
					}
					forwarded("", in, want, m).check(t, w)
				}
			}
			later := shopPacket(f, syn).answer(31, shopInner, ack)
			later.tcpOptions = mssOption(1460)
			forwarded("no SYN", later, later.returned(), moves{}).check(t, w)
		})
		t.Run(familyName(f)+" not asked for", func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.narrow(f, 31, room)
			w.send(shopPacket(f, syn))
			in := shopPacket(f, syn).answer(31, shopInner, syn|ack)
			in.tcpOptions = mssOption(1460)
			forwarded("", in, in.returned(), moves{}).check(t, w)
		})
	}
}
