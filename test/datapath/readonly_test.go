package datapath

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/maps"
)

// configuration is what the daemon writes and the program only reads.
var configuration = []string{
	".rodata.config", ".bss", "listeners4", "listeners6", "replies4", "replies6", "vips", "services", "generations", "backends4", "backends6",
}

func TestConfigurationMapsAreEqualBitByBitAfterTraffic(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 3)
	before, tables := w.dump(), w.tables()
	for _, f := range maps.Families() {
		for _, in := range truncatable(f) {
			for _, flags := range []uint8{syn, ack, ack | psh, fin | ack, rst, syn | ack} {
				w.run(t, in.flagged(flags).bytes())
			}
			w.run(t, in.bytes()[:len(in.bytes())/2])
		}
		for _, r := range slices.Concat(answeredRows(f), unansweredRows(f)) {
			w.run(t, r.in)
		}
		for _, r := range routes(f) {
			w.begin(r)
			for _, part := range r.whole.split(40) {
				w.run(t, part.bytes())
			}
			w.run(t, r.whole.bytes())
		}
		w.age(1000)
		w.mustSweep(t)
	}
	for name, content := range w.dump() {
		if !bytes.Equal(before[name], content) {
			t.Errorf("map %s changed under traffic", name)
		}
	}
	for at, ids := range w.tables() {
		if before := tables[at]; !slices.Equal(before, ids) {
			t.Errorf("the Maglev table %v changed under traffic", at)
		}
	}
}

func (w *world) dump() map[string][]byte {
	w.tb.Helper()
	out := map[string][]byte{}
	for _, name := range configuration {
		m := w.maps[name]
		value := make([]byte, m.ValueSize())
		if m.Type() == ebpf.Array {
			for i := range m.MaxEntries() {
				w.must(m.Lookup(i, &value))
				out[name] = append(out[name], value...)
			}
			continue
		}
		key := make([]byte, m.KeySize())
		it := m.Iterate()
		for it.Next(&key, &value) {
			out[name] = append(append(out[name], key...), value...)
		}
		w.must(it.Err())
	}
	return out
}

func (w *world) tables() map[[2]uint16][]uint16 {
	w.tb.Helper()
	out := map[[2]uint16][]uint16{}
	for generation := range generations {
		for _, f := range maps.Families() {
			out[[2]uint16{generation, uint16(f)}] = w.maglev(generation, f)
		}
	}
	return out
}
