package maps

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/bpf"
)

// What the program's arithmetic takes for granted: an even number of lines, and whole windows of the overflow.
func TestEveryLayoutFitsTheProgram(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		flows := rapid.Uint32Range(1, 50_000_000).Draw(r, "max_flows")
		for _, f := range families {
			l := LayoutFor(f, flows)
			if l.Lines < 2 || l.Lines%2 != 0 || l.Stash < 4 || l.Stash%4 != 0 {
				r.Fatalf("%d flows: %d lines, %d of overflow", flows, l.Lines, l.Stash)
			}
			if uint64(l.Lines)*uint64(Slots) < uint64(flows) {
				r.Fatalf("%d flows do not fit %d lines", flows, l.Lines)
			}
		}
	})
}

// A million flows: what an operator pays.
func TestAMillionFlowsCostAtMost64MiBForIPv4(t *testing.T) {
	l := LayoutFor(IPv4, 1_000_000)
	var cold bpf.ProgramCold
	bytes := uint64(LinesOf(l)) * (uint64(l.LineBytes) + uint64(Slots)*uint64(unsafe.Sizeof(cold)))
	if bytes > 64<<20 {
		t.Errorf("%d bytes, want at most 64 MiB", bytes)
	}
	t.Logf("IPv4: %.1f MiB", float64(bytes)/(1<<20))
}

// The layout read from the object's debug information is the one that its Go types have.
func TestTheObjectsOwnLayout(t *testing.T) {
	spec, err := bpf.LoadProgram()
	must(t, err)
	for _, f := range families {
		got, err := LayoutIn(spec, f, 1000)
		must(t, err)
		if want := LayoutFor(f, 1000); got != want {
			t.Errorf("family %d: %+v, want %+v", f, got, want)
		}
	}
}
