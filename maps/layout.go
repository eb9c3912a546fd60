package maps

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Layout says where things lie in a flow table.
type Layout = bpf.ProgramLayout

const (
	stashWindow = uint64(bpf.ProgramLimitLINES_STASH)
	// Slots for each flow of max_flows. With two candidate lines and the neighbour of each, and the emptier pair taken, a
	// table at 1/1.7 of its slots has, on average over seeds, less than one flow in ten million that finds no place there.
	slotsPerFlow  = 1.7
	stashFraction = 128 // the overflow has this fraction of the lines
)

// LayoutFor is the layout of the built-in object's table that holds max_flows flows with the overflow idle.
func LayoutFor(f Family, maxFlows uint32) Layout {
	l := sized(maxFlows)
	if f == IPv4 {
		var line bpf.ProgramLine4
		l.LineBytes = uint32(unsafe.Sizeof(line))
		l.MetaOff, l.MetaStride = uint16(unsafe.Offsetof(line.Meta)), uint16(unsafe.Sizeof(line.Meta[0]))
		l.KeyOff[0], l.KeyStride[0] = uint16(unsafe.Offsetof(line.Key)), uint16(unsafe.Sizeof(line.Key[0]))
		return l
	}
	var line bpf.ProgramLine6
	addr, stride := uint16(unsafe.Offsetof(line.Addr)), uint16(unsafe.Sizeof(line.Addr[0]))
	l.LineBytes = uint32(unsafe.Sizeof(line))
	l.MetaOff, l.MetaStride = uint16(unsafe.Offsetof(line.Meta)), uint16(unsafe.Sizeof(line.Meta[0]))
	l.KeyOff = [3]uint16{uint16(unsafe.Offsetof(line.Ports)), addr, addr + 8}
	l.KeyStride = [3]uint16{uint16(unsafe.Sizeof(line.Ports[0])), stride, stride}
	return l
}

// LayoutIn is the layout of an object's own table, read from its debug information: another build may have other lines.
func LayoutIn(spec *ebpf.CollectionSpec, f Family, maxFlows uint32) (Layout, error) {
	name := [2]string{"flows4", "flows6"}[f]
	line, ok := btf.As[*btf.Struct](spec.Maps[name].Value)
	if !ok {
		return Layout{}, fmt.Errorf("map %s: its value is no struct", name)
	}
	at := map[string]uint16{}
	for _, member := range line.Members {
		at[member.Name] = uint16(member.Offset.Bytes())
	}
	l := sized(maxFlows)
	l.LineBytes, l.MetaOff, l.MetaStride = line.Size, at["meta"], 8
	if f == IPv4 {
		l.KeyOff[0], l.KeyStride[0] = at["key"], 8
		return l, nil
	}
	l.KeyOff = [3]uint16{at["ports"], at["addr"], at["addr"] + 8}
	l.KeyStride = [3]uint16{8, 16, 16}
	return l, nil
}

func sized(maxFlows uint32) Layout {
	lines := (uint64(float64(maxFlows)*slotsPerFlow)/uint64(Slots) + 2) &^ 1
	stash := (lines/stashFraction + stashWindow) / stashWindow * stashWindow
	return Layout{Lines: uint32(lines), Stash: uint32(stash)}
}

// LinesOf is the number of elements of the table's map.
func LinesOf(l Layout) uint32 { return l.Lines + l.Stash }
