package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Counters is what the data plane counted of a generation, over all CPUs.
type Counters struct {
	New          uint64 // sessions pinned as new
	Orphans      uint64 // sessions pinned from mid-stream
	Reopened     uint64 // SYNs on a flow that was not closed
	Rejoined     uint64 // flows that joined a client's session whose last flow had ended
	Moved        uint64 // sessions taken from it: evicted, or their backend was lost
	Unpinned     uint64 // packets that found no slot
	LastUnpinned uint32 // tick
}

func (c *Counters) add(p bpf.ProgramCounters) {
	c.New += p.NewSessions
	c.Orphans += p.Orphans
	c.Reopened += p.Reopened
	c.Rejoined += p.Rejoined
	c.Moved += p.Moved
	c.Unpinned += p.Unpinned
	c.LastUnpinned = max(c.LastUnpinned, uint32(p.LastUnpinned))
}

// Counters reads a generation's counters.
func (t *Tables) Counters(index uint16) (Counters, error) {
	var per []bpf.ProgramCounters
	if err := t.maps["generation_counters"].Lookup(uint32(index), &per); err != nil {
		return Counters{}, fmt.Errorf("read the counters of generation index %d: %w", index, err)
	}
	var c Counters
	for _, p := range per {
		c.add(p)
	}
	return c, nil
}

// Sent is what went from clients to backends.
type Sent struct{ Packets, Bytes uint64 }

func (s *Sent) add(p bpf.ProgramSent) {
	s.Packets += p.Packets
	s.Bytes += p.Bytes
}

// Counts is what the data plane counted of all generations and backends, as one look at the counters found it.
type Counts struct {
	generations []Counters // by index
	through     []Sent     // by generation index
	to          []Sent     // by backend id
	counts      []bool     // by backend id: it is in use, and counts by itself
}

// Generation says what was counted of a generation, and what was sent to all backends that it ever had.
func (c Counts) Generation(index uint16) (Counters, Sent) {
	return c.generations[index], c.through[index]
}

// Backend says what was sent to a backend, and whether it counts by itself.
func (c Counts) Backend(id uint16) (Sent, bool) {
	if int(id) >= len(c.counts) || !c.counts[id] {
		return Sent{}, false
	}
	return c.to[id], true
}

// Counts reads all counters of generations and backends, many at once.
func (t *Tables) Counts() (Counts, error) {
	c := Counts{
		generations: make([]Counters, len(t.generations)), through: make([]Sent, len(t.generations)),
		to: make([]Sent, OwnCounters), counts: make([]bool, OwnCounters),
	}
	err := eachPerCPU(t, "generation_counters", func(index uint32, per []bpf.ProgramCounters) {
		c.through[index].add(t.generations[index].Past)
		for _, p := range per {
			c.generations[index].add(p)
			c.through[index].add(p.Sent)
		}
	})
	if err != nil {
		return Counts{}, err
	}
	return c, eachPerCPU(t, "backend_counters", func(id uint32, per []bpf.ProgramSent) {
		b := t.record(uint16(id))
		if b == nil || b.Counted == 0 {
			return
		}
		c.counts[id] = true
		for _, p := range per {
			c.to[id].add(p)
			c.through[b.Generation].add(p)
		}
	})
}

// perCPUBatch is how many elements are read at once: with hundreds of CPUs a whole array is tens of megabytes.
const perCPUBatch = 512

// eachPerCPU walks an array: of each element it has the values of all CPUs.
func eachPerCPU[T any](t *Tables, name string, do func(key uint32, per []T)) error {
	m, cpus := t.maps[name], ebpf.MustPossibleCPU()
	keys, values := make([]uint32, perCPUBatch), make([]T, perCPUBatch*cpus)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read map %s: %w", name, err)
		}
		for i, key := range keys[:n] {
			do(key, values[i*cpus:(i+1)*cpus])
		}
		if err != nil {
			return nil
		}
	}
}

// record of a backend that is in use, in a family in which it has one.
func (t *Tables) record(id uint16) *bpf.ProgramBackend {
	for _, f := range families {
		if int(id) < len(t.backends[f]) && t.backends[f][id].Used != 0 {
			return &t.backends[f][id]
		}
	}
	return nil
}

// FoldCounts moves what backends counted to their generations, where these stay, and begins their counters anew: for
// backends that nothing is sent to any more and that are removed next. One that was folded in already, by a daemon that
// was killed before it removed the backend, is not counted twice.
func (t *Tables) FoldCounts(ids ...uint16) error {
	m, zero := t.maps["backend_counters"], make([]bpf.ProgramSent, ebpf.MustPossibleCPU())
	for _, id := range ids {
		b := t.record(id)
		if b == nil || int(id) >= OwnCounters {
			continue
		}
		var per []bpf.ProgramSent
		if err := m.Lookup(uint32(id), &per); err != nil {
			return fmt.Errorf("read the counter of backend %d: %w", id, err)
		}
		if b.Counted != 0 {
			t.fold(id, per)
		}
		if err := m.Put(uint32(id), zero); err != nil {
			return fmt.Errorf("reset the counter of backend %d: %w", id, err)
		}
	}
	return nil
}

// fold works its sum out first: between the stores is nothing that takes time.
func (t *Tables) fold(id uint16, per []bpf.ProgramSent) {
	var sum Sent
	for _, p := range per {
		sum.add(p)
	}
	if g := &t.generations[t.record(id).Generation]; g.State != Unused {
		g.Past.Packets += sum.Packets
		g.Past.Bytes += sum.Bytes
	}
	for _, f := range families {
		t.backends[f][id].Counted = 0
	}
}
