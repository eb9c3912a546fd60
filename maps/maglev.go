package maps

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// PutMaglev replaces the Maglev table of a generation and family by a table of backend ids, in one step: a packet sees
// the old table or the new one. An empty table takes it away. It returns after a grace period, as every update of a map
// in a map does.
func (t *Tables) PutMaglev(generation uint16, f Family, ids []uint16) error {
	slot := maglevSlot(generation, f)
	if len(ids) == 0 {
		if err := t.maps["maglev"].Delete(slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove the Maglev table of generation index %d: %w", generation, err)
		}
		return nil
	}
	inner, err := newMaglev(ids)
	if err != nil {
		return err
	}
	defer inner.Close()
	if err := t.maps["maglev"].Put(slot, inner); err != nil {
		return fmt.Errorf("replace the Maglev table of generation index %d: %w", generation, err)
	}
	return nil
}

// newMaglev makes an inner map, laid out as struct maglev_table: the size, then four ids an element.
func newMaglev(ids []uint16) (*ebpf.Map, error) {
	words := make([]uint64, 1+(len(ids)+3)/4)
	keys := make([]uint32, len(words))
	words[0] = uint64(len(ids))
	for i, id := range ids {
		words[1+i/4] |= uint64(id) << (i % 4 * 16)
	}
	for i := range keys {
		keys[i] = uint32(i)
	}
	inner, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "maglev_table", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: uint32(len(words)),
		Flags: unix.BPF_F_INNER_MAP,
	})
	if err != nil {
		return nil, fmt.Errorf("create a Maglev table of %d entries: %w", len(ids), err)
	}
	if _, err := inner.BatchUpdate(keys, words, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("fill a Maglev table of %d entries: %w", len(ids), err), inner.Close())
	}
	return inner, nil
}

// GracePeriod waits until every program that was running has ended: the kernel does, after any update of a map in a
// map. Generation 0 is never used, so its table can be written at will.
func (t *Tables) GracePeriod() error {
	return t.PutMaglev(0, IPv4, nobody)
}

// MaglevTable is the Maglev table that a generation shall have in a family. No ids: nobody takes sessions there.
type MaglevTable struct {
	Generation uint16
	Family     Family
	IDs        []uint16
	Digest     uint64 // of what it was made from: 0 for no ids, odd else
}

// HasMaglev says whether the table in the kernel is the one that was made from what has this digest. A note in the
// generation's record tells, so that nobody needs to make the table anew, nor to read it back: that takes CAP_SYS_ADMIN.
func (t *Tables) HasMaglev(generation uint16, f Family, digest uint64) bool {
	return t.generations[generation].Maglev[f] == digest
}

// MaglevBatch is how many tables should be replaced at once: each is an open file meanwhile.
const MaglevBatch = 256

// beingReplaced stands for a digest while a table is written. No table has it.
const beingReplaced = 2

// SetMaglevs replaces tables, each in one step for packets, and notes their digests. It waits for one grace period, not for
// one a table: a thousand services come up in a second. The old digests are struck before: a writer that is killed leaves
// no wrong one.
func (t *Tables) SetMaglevs(tables []MaglevTable) error {
	if len(tables) == 0 {
		return nil
	}
	var slots, inner []uint32
	for _, table := range tables {
		ids := table.IDs
		if len(ids) == 0 {
			ids = nobody
		}
		m, err := newMaglev(ids)
		if err != nil {
			return err
		}
		defer m.Close()
		t.generations[table.Generation].Maglev[table.Family] = beingReplaced
		slots, inner = append(slots, maglevSlot(table.Generation, table.Family)), append(inner, uint32(m.FD()))
	}
	if _, err := t.maps["maglev"].BatchUpdate(slots, inner, nil); err != nil {
		return fmt.Errorf("replace %d Maglev tables: %w", len(slots), err)
	}
	if err := t.GracePeriod(); err != nil { // not every kernel waits after a batch
		return err
	}
	for _, table := range tables {
		t.generations[table.Generation].Maglev[table.Family] = table.Digest
	}
	return nil
}

// nobody is the table by which nobody takes sessions: id 0 is never valid.
var nobody = []uint16{0}

func maglevSlot(generation uint16, f Family) uint32 { return uint32(generation)*2 + uint32(f) }

// Maglev reads the table of a generation and family; nil when there is none. It opens the inner map by its id, which takes
// CAP_SYS_ADMIN: HasMaglev answers without.
func (t *Tables) Maglev(generation uint16, f Family) ([]uint16, error) {
	slot := maglevSlot(generation, f)
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
	if slices.Equal(ids, nobody) {
		return nil, nil
	}
	return ids, nil
}
