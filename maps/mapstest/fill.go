package mapstest

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// Fill4 puts flows into the IPv4 table of Tables, spread over its slots. The i-th is of client 10.0.0.0 + i, and its meta
// word is what meta says. The program would not find them: they do not lie where their hash leads.
func Fill4(tb testing.TB, tables *maps.Tables, maxFlows uint32, flows int, meta func(i int) maps.Meta) {
	tb.Helper()
	m, l := tables.Map("flows4"), maps.LayoutFor(maps.IPv4, maxFlows)
	mem, err := unix.Mmap(m.FD(), 0, int(l.LineBytes*m.MaxEntries()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(mem); err != nil {
			tb.Error(err)
		}
	}()
	slots := int(tables.SlotCount(maps.IPv4))
	word := func(slot int, off, stride uint16) *uint64 {
		at := slot/int(maps.Slots)*int(l.LineBytes) + int(off) + slot%int(maps.Slots)*int(stride)
		return (*uint64)(unsafe.Pointer(&mem[at]))
	}
	for i := range flows {
		slot := i * slots / flows
		var client [4]byte
		binary.BigEndian.PutUint32(client[:], 10<<24+uint32(i))
		*word(slot, l.KeyOff[0], l.KeyStride[0]) = uint64(binary.NativeEndian.Uint32(client[:]))<<32 | 0x1234_5678
		*word(slot, l.MetaOff, l.MetaStride) = uint64(meta(i))
	}
}

// Meta is the meta word of an IPv4 flow that was last seen at a tick.
func Meta(state maps.FlowState, vip, backend uint16, seen uint32) maps.Meta {
	m := maps.Meta(state) | maps.Meta(vip)<<bpf.ProgramMetaBitsMETA_TAG_SHIFT | maps.Meta(backend)<<bpf.ProgramMetaBitsMETA_BACKEND_SHIFT
	return m.WithSeen(seen)
}
