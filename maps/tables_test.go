package maps

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
)

// mustTables makes the maps of a data plane, without its programs.
func mustTables(tb testing.TB) *Tables {
	tb.Helper()
	spec, err := bpf.LoadProgram()
	if err != nil {
		tb.Fatal(err)
	}
	bpf.WithoutTracer(spec)
	spec.Programs, spec.Maps["steps"].Contents = nil, nil
	layouts := [2]Layout{LayoutFor(IPv4, 100), LayoutFor(IPv6, 100)}
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		spec.Maps[names[0]].MaxEntries = LinesOf(layouts[f])
		spec.Maps[names[1]].MaxEntries = LinesOf(layouts[f]) * Slots
	}
	if err := rlimit.RemoveMemlock(); err != nil && !errors.Is(err, unix.EPERM) {
		tb.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, unix.EPERM) {
		tb.Fatal("this test creates BPF maps: run it as root, or with CAP_BPF")
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(coll.Close)
	vars, err := VariablesOf(spec)
	if err != nil {
		tb.Fatal(err)
	}
	tables, err := New(coll.Maps, vars, layouts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tables.Close(); err != nil {
			tb.Error(err)
		}
	})
	return tables
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
