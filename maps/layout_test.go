package maps

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
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

// A million flows: what an operator pays, by the kernel's own account, for every map that IPv4 needs.
func TestAMillionFlowsCostAtMost64MiBForIPv4(t *testing.T) {
	spec, err := bpf.LoadProgram()
	must(t, err)
	bpf.WithoutTracer(spec)
	spec.Programs, spec.Maps["steps"].Contents = nil, nil
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		l := LayoutFor(Family(f), 1_000_000)
		spec.Maps[names[0]].MaxEntries = LinesOf(l)
		spec.Maps[names[1]].MaxEntries = LinesOf(l) * Slots
	}
	coll, err := ebpf.NewCollection(spec)
	must(t, err)
	defer coll.Close()
	bytes := map[byte]uint64{}
	if v, err := features.LinuxVersionCode(); err != nil || v < linux64 {
		t.Skipf("before Linux 6.4 the kernel's account is an estimate that takes each hash map for full (%v)", err)
	}
	for name, m := range coll.Maps {
		info, err := m.Info()
		must(t, err)
		locked, known := info.Memlock()
		if !known && m.Type() != ebpf.LPMTrie { // which takes nothing while it is empty
			t.Fatalf("the kernel does not say what map %s takes", name)
		}
		bytes[name[len(name)-1]] += locked
	}
	four, six := bytes['4'], bytes['6']
	shared := -four - six
	for _, n := range bytes {
		shared += n
	}
	if four+shared > 64<<20 {
		t.Errorf("%d bytes for IPv4 and what both families share, want at most 64 MiB", four+shared)
	}
	t.Logf("IPv4 %.1f MiB, shared %.1f MiB, IPv6 %.1f MiB more", mebi(four), mebi(shared), mebi(six))
}

// linux64 is the version code of Linux 6.4, the first that asks each map what it takes (map_mem_usage).
const linux64 = 6<<16 | 4<<8

func mebi(n uint64) float64 { return float64(n) / (1 << 20) }

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
