package datapath

import (
	"bytes"
	"encoding/hex"
	goMaps "maps"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// FuzzFrame feeds raw frames to the program and to the model, behind packets of flows that they may belong to: both have
// to make the same of one.
func FuzzFrame(f *testing.F) {
	for _, in := range parserSeeds() {
		f.Add(in)
	}
	w := mustWorld(f, options{flows: 8}, 2)
	config := w.modelConfig()
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < ethernetHeader || len(in) > 3000 {
			t.Skip("more or less than BPF_PROG_TEST_RUN takes")
		}
		w.tb = t
		w.restart()
		s := &scene{plane: w.plane, tb: t, m: model.New(config)}
		for _, earlier := range known {
			s.mustAgree(earlier)
		}
		s.mustAgree(in)
	})
}

// known are packets of one flow of each kind.
var known = func() (out [][]byte) {
	for _, f := range maps.Families() {
		for _, p := range []frame{gamePacket(f, syn), gameDatagram(f), shopPacket(f, syn), shopPacket(f, ack), shopDatagram(f)} {
			out = append(out, p.bytes())
		}
	}
	return out
}()

func (s *scene) mustAgree(in []byte) {
	s.tb.Helper()
	if err := s.step(in, true); err != nil {
		s.tb.Fatalf("%v\n%s", err, hex.Dump(in))
	}
}

// parserSeeds take the parser down each of its branches.
func parserSeeds() (seeds [][]byte) {
	for _, r := range slices.Concat(passRows(), noFlowRows(), dropRows()) {
		seeds = append(seeds, r.in)
	}
	for _, fam := range maps.Families() {
		for _, r := range answeredRows(fam) {
			seeds = append(seeds, r.in)
		}
		for _, q := range quotes(fam, shopPacket(fam, syn), shopDatagram(fam)) {
			about := errorAbout(fam, q[1], 2000).bytes()
			for _, least := range []int{len(about), 14 + ipHeader[fam] + 8 + q[1].least(), 14 + ipHeader[fam] + 8 + q[1].least() - 1} {
				seeds = append(seeds, about[:least])
			}
			seeds = append(seeds, errorAbout(fam, q[1], q[1].least()).bytes(), errorAbout(fam, q[1], q[1].least()-1).bytes(), q[0].bytes())
		}
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

// Fuzzing goes on from the seeds: they meet each reason that the bytes of a frame alone decide, in both families where
// that can be.
func TestTheSeedsOfTheParserMeetEveryReason(t *testing.T) {
	s := mustWorld(t, options{flows: 8}, 2).modelled(t)
	met := map[string]uint64{}
	for _, in := range parserSeeds() {
		family := "no IP"
		if c := bytes.Index(in, []byte{0x08, 0x00, 0x45}); c > 0 && c < 32 {
			family = familyName(maps.IPv4)
		} else if c := bytes.Index(in, []byte{0x86, 0xdd, 0x60}); c > 0 && c < 32 {
			family = familyName(maps.IPv6)
		}
		before := goMaps.Clone(s.m.Reasons)
		s.mustAgree(in)
		for reason, n := range s.m.Reasons {
			met[family+" "+reason] += n - before[reason]
		}
	}
	want := []string{"no IP pass_not_ip"}
	for _, f := range maps.Families() {
		for _, reason := range []string{"pass_other_mac", "pass_malformed", "pass_not_ours", "drop_malformed", "drop_fragment", "drop_ttl"} {
			want = append(want, familyName(f)+" "+reason)
		}
	}
	for _, reason := range want {
		if met[reason] == 0 {
			t.Errorf("no seed meets: %s", reason)
		}
	}
}
