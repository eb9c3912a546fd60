package maps

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// A scan tells a client by the words of a key as netip tells it by its address.
func TestAScanWantsTheClientsThatThePrefixContains(t *testing.T) {
	tables := mustTables(t)
	everyFlow := func(Meta) bool { return true }
	rapid.Check(t, func(r *rapid.T) {
		f := rapid.SampledFrom(families[:]).Draw(r, "family")
		bytes := make([]byte, []int{4, 16}[f])
		for i := range bytes {
			bytes[i] = rapid.Byte().Draw(r, "byte")
		}
		addr, _ := netip.AddrFromSlice(bytes)
		near := bytes
		if bit := rapid.IntRange(0, 8*len(bytes)).Draw(r, "other bit"); bit < 8*len(bytes) {
			near[bit/8] ^= 0x80 >> (bit % 8)
		}
		other, _ := netip.AddrFromSlice(near)
		prefix := netip.PrefixFrom(other, rapid.IntRange(0, 8*len(bytes)).Draw(r, "bits"))
		words := clientWords(addr)
		if f == IPv4 {
			*tables.word(f, 5, tables.layouts[f].KeyOff[0], tables.layouts[f].KeyStride[0]) = words[0] | 0x1234_5678
		} else {
			*tables.word(f, 5, tables.layouts[f].KeyOff[1], tables.layouts[f].KeyStride[1]) = words[0]
			*tables.word(f, 5, tables.layouts[f].KeyOff[2], tables.layouts[f].KeyStride[2]) = words[1]
		}
		*tables.metaAt(f, 5) = uint64(Established)
		found := 0
		tables.Scan(f, 0, tables.SlotCount(f), Wanted{everyFlow, prefix}, func(flow Flow) bool {
			if found++; flow.Client.Addr() != addr {
				r.Errorf("client %s, want %s", flow.Client, addr)
			}
			return true
		})
		if want := map[bool]int{true: 1}[prefix.Contains(addr)]; found != want {
			r.Errorf("%d flows of %s found in %s, want %d", found, addr, prefix, want)
		}
		*tables.metaAt(f, 5) = 0
	})
}

// A scan that was stopped goes on behind the flow that it stopped at, and ends where it was told to.
func TestAScanGoesOnWhereItWasStopped(t *testing.T) {
	tables := mustTables(t)
	for _, slot := range []uint32{0, 3, 4, 9, 10} {
		*tables.metaAt(IPv4, slot) = uint64(Established)
	}
	*tables.metaAt(IPv4, 5) = uint64(Claimed)
	var seen []uint32
	for next := uint32(0); next < 10; {
		next = tables.Scan(IPv4, next, 10, Wanted{Meta: func(Meta) bool { return true }}, func(f Flow) bool {
			seen = append(seen, f.Slot)
			return false
		})
	}
	if len(seen) != 4 || seen[0] != 0 || seen[1] != 3 || seen[2] != 4 || seen[3] != 9 {
		t.Errorf("slots %v", seen)
	}
}
