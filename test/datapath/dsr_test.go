package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// In dsr only the MAC addresses change: whatever the packet is, every other byte stays.
func TestDSR(t *testing.T) { runRows(t, dsrRows()) }

func dsrRows() (rows []row) {
	for _, f := range maps.Families() {
		for name, in := range shapes(f, gamePacket(f, syn), gameDatagram(f)) {
			rows = append(rows, forwarded(familyName(f)+" "+name, in, in.steered(11), began("blue", in.bytes())))
		}
		hit := gamePacket(f, ack|psh).with([]byte("move"))
		rows = append(rows,
			forwarded(familyName(f)+" a pinned flow", hit, hit.steered(11), sent("blue", hit.bytes())).given(func(w *world) {
				w.send(gamePacket(f, syn), gamePacket(f, ack))
			}),
			forwarded(familyName(f)+" TTL 1 is the backend's business", hit.change(func(f *frame) { f.ttl = 1 }),
				hit.change(func(f *frame) { f.ttl = 1 }).steered(11), sent("blue", hit.bytes())).given(func(w *world) {
				w.send(gamePacket(f, syn))
			}),
			row{
				name: familyName(f) + " a backend on another interface", in: hit.bytes(), verdict: redirect, out: hit.steered(11).bytes(),
				moves: sent("blue", hit.bytes()),
				before: func(w *world) {
					w.send(gamePacket(f, syn))
					w.SetHop(f, 11, maps.Hop{IfIndex: beside, SrcMAC: hostMAC, DstMAC: backendMAC(11)})
				},
			},
		)
	}
	return rows
}

// shapes are the forms in which a packet that can be served comes.
func shapes(f maps.Family, segment, datagram frame) map[string]frame {
	out := map[string]frame{
		"SYN":                             segment,
		"SYN with options":                segment.change(func(f *frame) { f.tcpOptions = []byte{2, 4, 5, 0xb4, 1, 1, 4, 2} }),
		"datagram":                        datagram,
		"empty datagram":                  datagram.with(nil),
		"TCP in a VLAN":                   segment.change(tagged),
		"TCP in QinQ":                     segment.change(twiceTagged),
		"UDP in a VLAN":                   datagram.change(tagged),
		"UDP in QinQ":                     datagram.change(twiceTagged),
		"the largest tagged frame":        datagram.with(make([]byte, 1500-8-[2]int{20, 40}[f])).change(tagged),
		"the largest frame in QinQ":       segment.with(make([]byte, 1500-20-[2]int{20, 40}[f])).change(twiceTagged),
		"UDP that ends before the packet": datagram.change(func(f *frame) { f.udpDelta = -2 }),
		"TCP padded to 60 bytes and more": segment.change(func(f *frame) { f.padding = 6 }),
		"UDP padded to 60 bytes and more": datagram.with([]byte("x")).change(func(f *frame) { f.padding = 17 }),
		"UDP in a VLAN, padded":           datagram.with(nil).change(tagged).change(func(f *frame) { f.padding = 14 }),
	}
	if f == maps.IPv4 {
		out["UDP without checksum"] = datagram.change(func(f *frame) { f.noChecksum = true })
		out["TCP behind IP options"] = segment.change(func(f *frame) { f.ipOptions = []byte{0x94, 4, 0, 0} })
		out["UDP behind 40 bytes of IP options"] = datagram.change(func(f *frame) { f.ipOptions = make([]byte, 40) })
		out["TCP behind IP options in a VLAN, padded"] = segment.change(tagged).change(func(f *frame) {
			f.ipOptions, f.padding = []byte{0x94, 4, 0, 0}, 2
		})
		out["UDP behind IP options in QinQ"] = datagram.change(twiceTagged).change(func(f *frame) { f.ipOptions = make([]byte, 8) })
		out["do not fragment"] = segment.change(func(f *frame) { f.frag = 0x4000 })
		return out
	}
	out["TCP behind extension headers"] = segment.change(func(f *frame) {
		f.extensions = []extension{{0, make([]byte, 7)}, {60, append([]byte{1}, make([]byte, 14)...)}, {43, make([]byte, 7)}}
	})
	out["UDP behind an extension header in a VLAN, padded"] = datagram.change(tagged).change(func(f *frame) {
		f.extensions, f.padding = []extension{{0, make([]byte, 7)}}, 3
	})
	out["TCP behind an extension header in QinQ"] = segment.change(twiceTagged).change(func(f *frame) {
		f.extensions = []extension{{60, append([]byte{2}, make([]byte, 22)...)}}
	})
	out["UDP behind five extension headers"] = datagram.change(func(f *frame) {
		for range 5 {
			f.extensions = append(f.extensions, extension{60, make([]byte, 7)})
		}
	})
	return out
}

func tagged(f *frame)      { f.tags = []tag{{0x8100, 100}} }
func twiceTagged(f *frame) { f.tags = []tag{{0x88a8, 7}, {0x8100, 0xe064}} }

// The VLANs of these that the host is in.
var (
	oneTag  = maps.Tags{{TPID: 0x8100, ID: 100}}
	twoTags = maps.Tags{{TPID: 0x88a8, ID: 7}, {TPID: 0x8100, ID: 100}}
)
