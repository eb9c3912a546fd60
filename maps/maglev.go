package maps

import (
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// PutMaglev replaces the Maglev table of a generation and family by a table of backend ids, in one step: a packet sees
// the old table or the new one. An empty table takes it away. It returns after a grace period, as every update of a map
// in a map does.
func (t *Tables) PutMaglev(generation uint16, f Family, ids []uint16) error {
	slot := uint32(generation)*2 + uint32(f)
	if len(ids) == 0 {
		if err := t.maps["maglev"].Delete(slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove the Maglev table of generation index %d: %w", generation, err)
		}
		return nil
	}
	inner, err := ebpf.NewMap(maglevSpec(ids))
	if err != nil {
		return fmt.Errorf("create a Maglev table of %d entries: %w", len(ids), err)
	}
	defer inner.Close()
	if err := t.maps["maglev"].Put(slot, inner); err != nil {
		return fmt.Errorf("replace the Maglev table of generation index %d: %w", generation, err)
	}
	return nil
}

// maglevSpec lays the table out as struct maglev_table: the size, then four ids an element.
func maglevSpec(ids []uint16) *ebpf.MapSpec {
	words := make([]uint64, 1+(len(ids)+3)/4)
	words[0] = uint64(len(ids))
	for i, id := range ids {
		words[1+i/4] |= uint64(id) << (i % 4 * 16)
	}
	contents := make([]ebpf.MapKV, len(words))
	for i, w := range words {
		contents[i] = ebpf.MapKV{Key: uint32(i), Value: w}
	}
	return &ebpf.MapSpec{
		Name: "maglev_table", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: uint32(len(words)),
		Flags: unix.BPF_F_INNER_MAP, Contents: contents,
	}
}

// GracePeriod waits until every program that was running has ended: the kernel does, after any update of a map in a
// map. Generation 0 is never used, so its table can be written at will.
func (t *Tables) GracePeriod() error {
	return t.PutMaglev(0, IPv4, []uint16{0})
}

// HasMaglev says whether the table in the kernel is this one. A digest in the generation's record tells, so that nothing
// needs to read a table back: that takes CAP_SYS_ADMIN.
func (t *Tables) HasMaglev(generation uint16, f Family, ids []uint16) bool {
	return t.generations[generation].Maglev[f] == maglevDigest(ids)
}

// SetMaglev replaces the Maglev table of a generation, as PutMaglev does, and notes its digest. The old digest is struck
// before: a writer that is killed leaves no wrong one.
func (t *Tables) SetMaglev(generation uint16, f Family, ids []uint16) error {
	note := &t.generations[generation].Maglev[f]
	*note = beingReplaced
	if err := t.PutMaglev(generation, f, ids); err != nil {
		return err
	}
	*note = maglevDigest(ids)
	return nil
}

// beingReplaced stands for a digest while a table is written. No table has it.
const beingReplaced = 2

// maglevDigest is 0 for no table only, and odd else.
func maglevDigest(ids []uint16) uint64 {
	if len(ids) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, id := range ids {
		h.Write([]byte{byte(id), byte(id >> 8)})
	}
	return h.Sum64() | 1
}

// Maglev reads the table of a generation and family; nil when there is none. It opens the inner map by its id, which takes
// CAP_SYS_ADMIN: HasMaglev answers without.
func (t *Tables) Maglev(generation uint16, f Family) ([]uint16, error) {
	slot := uint32(generation)*2 + uint32(f)
	var inner *ebpf.Map
	if err := t.maps["maglev"].Lookup(slot, &inner); errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("open the Maglev table of generation index %d: %w", generation, err)
	}
	defer inner.Close()
	words := make([]uint64, inner.MaxEntries())
	keys := make([]uint32, inner.MaxEntries())
	var cursor ebpf.MapBatchCursor
	n, err := inner.BatchLookup(&cursor, keys, words, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, fmt.Errorf("read the Maglev table of generation index %d: %w", generation, err)
	}
	if n != len(words) || words[0] > uint64(4*(n-1)) {
		return nil, fmt.Errorf("read the Maglev table of generation index %d: %d of %d elements", generation, n, len(words))
	}
	ids := make([]uint16, words[0])
	for i := range ids {
		ids[i] = uint16(words[1+i/4] >> (i % 4 * 16))
	}
	return ids, nil
}
