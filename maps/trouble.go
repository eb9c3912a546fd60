package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Troubles is what went wrong with the sessions of a generation, over all CPUs, since it is counted.
type Troubles struct {
	NeverEstablished uint64 // sessions that ended half-open
	Resets           uint64 // flows that a RST ended
	SYNRetransmits   uint64 // SYNs sent again while half-open
	Before           uint64 // sessions, orphans included, that had begun before these were counted
}

// troublesMap is not there in the maps of a program of an earlier build, until it is upgraded.
const troublesMap = "generation_troubles"

// CountTroubles makes the data plane count those of a generation, if it does not yet.
func (t *Tables) CountTroubles(index uint16) error {
	m := t.maps[troublesMap]
	if m == nil {
		return fmt.Errorf("count the troubles of generation index %d: the program in the kernel is of an earlier build", index)
	}
	n, err := t.Counters(index)
	if err != nil {
		return err
	}
	per := make([]bpf.ProgramTroubles, ebpf.MustPossibleCPU())
	per[0].Before = n.New + n.Orphans
	err = m.Update(uint32(index), per, ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("count the troubles of generation index %d beside those of others (%d at most): %w", index, bpf.ProgramLimitMAX_TROUBLES, err)
	}
	return nil
}

// Troubles reads those of a generation, and says whether they are counted.
func (t *Tables) Troubles(index uint16) (sum Troubles, counted bool, err error) {
	m := t.maps[troublesMap]
	if m == nil {
		return sum, false, nil
	}
	var per []bpf.ProgramTroubles
	switch err := m.Lookup(uint32(index), &per); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return sum, false, nil
	case err != nil:
		return sum, false, fmt.Errorf("read the troubles of generation index %d: %w", index, err)
	}
	for _, p := range per {
		sum.NeverEstablished += p.NeverEstablished
		sum.Resets += p.Resets
		sum.SYNRetransmits += p.SynRetransmits
		sum.Before += p.Before
	}
	return sum, true, nil
}

// forgetTroubles of a generation that goes: whatever has its index next must not find them.
func (t *Tables) forgetTroubles(index uint16) error {
	m := t.maps[troublesMap]
	if m == nil {
		return nil
	}
	if err := m.Delete(uint32(index)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget the troubles of generation index %d: %w", index, err)
	}
	return nil
}
