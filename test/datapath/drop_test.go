package datapath

import (
	"bytes"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

func TestEveryDropReason(t *testing.T) {
	var rows []row
	for _, f := range maps.Families() {
		name := familyName(f) + " "
		back := shopPacket(f, syn).answer(31, shopInner, syn|ack)
		rows = append(rows, malformedRows(f)...)
		rows = append(rows,
			dropped(name+"no live generation", gamePacket(f, syn).bytes(), "drop_no_generation").given(func(w *world) {
				w.SetSteer(game, maps.Steer{})
			}),
			dropped(name+"an empty pool", gamePacket(f, syn).bytes(), "drop_no_generation").given(func(w *world) {
				w.must(w.PutMaglev(blue, f, nil))
			}),
			dropped(name+"a table of backend id 0", gameDatagram(f).bytes(), "drop_no_generation").given(func(w *world) {
				w.must(w.PutMaglev(blue, f, []uint16{0}))
			}),
			row{
				name: name + "next hop not resolved", in: gamePacket(f, syn).bytes(), verdict: drop,
				before: func(w *world) { w.SetHop(f, 11, maps.Hop{}) },
				moves:  moves{"drop_unresolved": 1, "blue.new": 1},
			},
			row{
				name: name + "no way back", in: back.bytes(), verdict: drop, moves: moves{"drop_unresolved": 1},
				out: back.returned().change(func(f *frame) { f.dst, f.src = back.dst, back.src }).bytes(),
				before: func(w *world) {
					w.send(shopPacket(f, syn))
					w.loseIface()
				},
			},
			row{
				name: name + "TTL 1 in nat", verdict: drop,
				in:    shopPacket(f, syn).change(func(f *frame) { f.ttl = 1 }).bytes(),
				moves: moves{"drop_ttl": 1, "shop-blue.new": 1},
			},
			row{
				name: name + "TTL 0 in nat", verdict: drop,
				in:    shopDatagram(f).change(func(f *frame) { f.ttl = 0 }).bytes(),
				moves: moves{"drop_ttl": 1, "shop-blue.new": 1},
			},
			dropped(name+"TTL 1 of an answer", shopPacket(f, syn).answer(31, shopInner, syn|ack).change(func(f *frame) { f.ttl = 1 }).bytes(), "drop_ttl").given(func(w *world) {
				w.send(shopPacket(f, syn))
			}),
			dropped(name+"a listener that is closed", gamePacket(f, syn).bytes(), "drop_listener_closed").given(func(w *world) {
				w.closeListener(f)
			}),
		)
	}
	runRows(t, rows)
}

// closeListener takes the game's TCP listener out of the configuration; its flows stay.
func (w *world) closeListener(f maps.Family) {
	w.must(w.PutListener(maps.Socket{Addr: gameVIP[f], Port: gamePort, Protocol: tcp},
		maps.Listener{VIP: vipID(gameVIP[f], tcp), Service: game, ID: gameTCP, Kind: maps.Closed}))
}

func malformedRows(f maps.Family) []row {
	var rows []row
	for name, in := range map[string]frame{
		"TCP header too short":          gamePacket(f, syn).change(func(f *frame) { f.doff = 4 }),
		"TCP header beyond the packet":  gamePacket(f, syn).change(func(f *frame) { f.doff = 6 }),
		"length beyond the frame":       gamePacket(f, syn).change(func(f *frame) { f.lengthDelta = 1 }),
		"length within the TCP header":  gamePacket(f, syn).change(func(f *frame) { f.lengthDelta = -1 }),
		"length within the IPv4 header": gamePacket(f, syn).change(func(f *frame) { f.lengthDelta = -21; f.padding = 20 }),
		"UDP shorter than its header":   gameDatagram(f).change(func(f *frame) { f.udpDelta = -8 }),
		"UDP longer than the packet":    gameDatagram(f).change(func(f *frame) { f.udpDelta = 1; f.padding = 40 }),
		"UDP beyond the frame":          gameDatagram(f).change(func(f *frame) { f.lengthDelta = 100; f.udpDelta = 100 }),
		"length within the UDP header":  gameDatagram(f).change(func(f *frame) { f.lengthDelta = -8 }),
	} {
		rows = append(rows, dropped(familyName(f)+" "+name, in.bytes(), "drop_malformed"))
	}
	return rows
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
