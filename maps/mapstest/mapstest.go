// Package mapstest makes the maps of a data plane for tests, without its programs.
package mapstest

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// Tables are the maps of a data plane that is sized for so many flows of each family. They go with the test.
func Tables(tb testing.TB, flows4, flows6 uint32) *maps.Tables {
	tb.Helper()
	spec, err := bpf.LoadProgram()
	if err != nil {
		tb.Fatal(err)
	}
	bpf.WithoutTracer(spec)
	spec.Programs, spec.Maps["steps"].Contents = nil, nil
	layouts := [2]maps.Layout{maps.LayoutFor(maps.IPv4, flows4), maps.LayoutFor(maps.IPv6, flows6)}
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		spec.Maps[names[0]].MaxEntries = maps.LinesOf(layouts[f])
		spec.Maps[names[1]].MaxEntries = maps.LinesOf(layouts[f]) * maps.Slots
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
	vars, err := maps.VariablesOf(spec)
	if err != nil {
		tb.Fatal(err)
	}
	tables, err := maps.New(coll.Maps, vars, layouts)
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
