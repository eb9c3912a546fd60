package datapath

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// FuzzParse feeds raw frames to the program: what it makes of one has to be what a plain parser makes of it, and what
// it does not send on comes out untouched.
func FuzzParse(f *testing.F) {
	for _, in := range parserSeeds() {
		f.Add(in)
	}
	w := mustWorld(f, options{flows: 1000}, 1)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < ethernetHeader || len(in) > 3000 {
			t.Skip("more or less than BPF_PROG_TEST_RUN takes")
		}
		w.checkParsed(t, in)
	})
}

// parserSeeds take the parser down each of its branches.
func parserSeeds() (seeds [][]byte) {
	for _, r := range slices.Concat(passRows(), noFlowRows(), dropRows()) {
		seeds = append(seeds, r.in)
	}
	for _, fam := range maps.Families() {
		for _, in := range truncatable(fam) {
			seeds = append(seeds, in.bytes())
		}
		// Cut off in the second tag, in the IP header, in the transport header; behind each only the Ethernet header.
		whole := gamePacket(fam, syn).change(twiceTagged).bytes()
		for _, length := range []int{ethernetHeader, ethernetHeader + 4, ethernetHeader + 6, 40, len(whole) - 1} {
			seeds = append(seeds, whole[:length])
		}
	}
	for _, packet := range []frame{gamePacket(maps.IPv6, syn), shopDatagram(maps.IPv6), toVIP(somewhere[maps.IPv6], udp, gamePort, 0)} {
		for _, e := range extensionSeeds() {
			seeds = append(seeds, packet.change(func(f *frame) { f.extensions = e }).bytes())
		}
	}
	return seeds
}

// extensionSeeds: one that is longer than the frame, as many as are walked and one more, a fragment header in front and
// behind, nothing that follows, and a header that is walked by nobody.
func extensionSeeds() [][]extension {
	options := extension{60, make([]byte, 7)}
	fragment := extension{44, make([]byte, 7)}
	return [][]extension{
		{{0, []byte{255, 0, 0, 0, 0, 0, 0}}},
		slices.Repeat([]extension{options}, 5),
		slices.Repeat([]extension{options}, 6),
		{fragment, options},
		{options, {43, make([]byte, 7)}, fragment},
		{{59, make([]byte, 7)}},
		{options, {59, make([]byte, 7)}},
		{{51, make([]byte, 7)}},
	}
}

// Fuzzing goes on from the seeds: each class that a frame can be of has one, in both families where it can.
func TestTheSeedsOfTheParserMeetEveryClass(t *testing.T) {
	seen := map[string]int{}
	for _, in := range parserSeeds() {
		family := "no IP"
		if c := bytes.Index(in, []byte{0x08, 0x00, 0x45}); c > 0 && c < 32 {
			family = familyName(maps.IPv4)
		} else if c := bytes.Index(in, []byte{0x86, 0xdd, 0x60}); c > 0 && c < 32 {
			family = familyName(maps.IPv6)
		}
		seen[family+" "+classify(in).String()]++
	}
	for _, fam := range maps.Families() {
		for _, c := range []class{served, "pass_other_mac", "pass_malformed", "pass_not_ours", "drop_malformed", "drop_fragment"} {
			if seen[familyName(fam)+" "+c.String()] == 0 {
				t.Errorf("no seed of %s is %v", familyName(fam), c)
			}
		}
	}
	if seen["no IP pass_not_ip"] == 0 {
		t.Error("no seed is pass_not_ip")
	}
}

func (w *world) checkParsed(t *testing.T, in []byte) {
	before := w.counters(t)
	v, out := w.run(t, in)
	moved := w.counters(t).since(before)
	want := classify(in)
	if !want.matches(v, moved) {
		t.Errorf("verdict %v, moved %v, want %v: % x", v, moved, want, in)
	}
	if v != tx && !bytes.Equal(out, in) {
		t.Errorf("%v, and it came out changed: % x", want, out)
	}
	if moved["blue.packets"] == 1 && !bytes.Equal(out[12:], in[12:]) {
		t.Errorf("dsr changed more than the MAC addresses: % x came out as % x", in, out)
	}
}
