package maps

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// copyTries bound how often a slot is read that packets change meanwhile: it counts as free then.
const copyTries = 8

// CopyFlows takes over the flows of tables of the same layout, and the fragments. Packets may change them meanwhile; each
// is taken whole or not at all.
func (t *Tables) CopyFlows(from *Tables) error {
	for _, f := range families {
		for slot := range t.SlotCount(f) {
			t.copySlot(from, f, slot)
		}
	}
	return copyArray(t.maps["fragments"], from.maps["fragments"])
}

// copySlot reads by the protocol's rule for readers, and writes where nobody else does.
func (t *Tables) copySlot(from *Tables, f Family, slot uint32) {
	for range copyTries {
		before := from.Meta(f, slot)
		if before.State() < HalfOpen {
			break
		}
		key, cold := from.keyOf(f, slot), from.cold[f][slot]
		if after := from.Meta(f, slot); (before ^ after).WithSeen(0) != 0 {
			continue
		}
		l := t.layouts[f]
		for i := range [2]int{IPv4: 1, IPv6: 3}[f] {
			atomic.StoreUint64(t.word(f, slot, l.KeyOff[i], l.KeyStride[i]), key[i])
		}
		t.cold[f][slot] = cold
		atomic.StoreUint64(t.metaAt(f, slot), uint64(before))
		return
	}
	const tag = 0x3fff << 8 // claims outlive the entry
	atomic.StoreUint64(t.metaAt(f, slot), uint64(from.Meta(f, slot)&tag))
}

// CopyConfiguration takes over what the daemon writes into mapped memory: services, generations, backends, and what the
// program was told. Nobody may write it meanwhile.
func (t *Tables) CopyConfiguration(from *Tables) {
	copy(t.services, from.services)
	copy(t.generations, from.generations)
	for _, f := range families {
		copy(t.backends[f], from.backends[f])
	}
	t.CopySettings(from)
}

// copyArray copies all elements of an array map.
func copyArray(to, from *ebpf.Map) error {
	n := int(from.MaxEntries())
	keys := make([]uint32, n)
	values := reflect.MakeSlice(reflect.SliceOf(reflect.ArrayOf(int(from.ValueSize()), reflect.TypeFor[byte]())), n, n).Interface()
	var cursor ebpf.MapBatchCursor
	got, err := from.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read map %v: %w", from, err)
	}
	if got != n {
		return fmt.Errorf("read map %v: %d of %d elements", from, got, n)
	}
	if _, err := to.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("fill the copy of map %v: %w", from, err)
	}
	return nil
}
