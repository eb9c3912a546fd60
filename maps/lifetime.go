package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
)

// LifetimeBuckets is how many bins lengths are counted in.
const LifetimeBuckets = int(bpf.ProgramLimitLIFETIME_BUCKETS)

// Lifetimes is how long sessions lasted that have ended, as the sweeper found when it freed them: from the packet that
// pinned them to the last one, their timeout left out. Where the service's affinity is client, a session lasts as long as
// one of its flows has its entry.
//
// In no bucket are sessions that live, those that were evicted, flows that were half-open to their end, and those whose
// slot was taken before the sweeper came: by a flow that began anew on the same ports, or by another where the table is
// full. Where thousands end at once, some thousands of them are in it, chosen by the hash of the flow.
type Lifetimes [LifetimeBuckets]uint64

// LifetimeBounds of a bucket, in ticks: it has what lasted from low on, and less than high.
func LifetimeBounds(bucket int) (low, high uint32) {
	if bucket < 8 {
		return uint32(bucket), uint32(bucket) + 1
	}
	part, shift := uint32(4+bucket%4), bucket/4-1
	return part << shift, (part + 1) << shift
}

// Lifetimes of a generation's sessions. The sweeper may be adding to them.
func (t *Tables) Lifetimes(generation uint16) (Lifetimes, error) {
	return t.lifetimesAt(uint32(generation))
}

// PastLifetimes are those of a service's generations that are gone. What earlier ones left counts half with each that
// goes, so that sessions of today tell more than those of last year.
func (t *Tables) PastLifetimes(service uint16) (Lifetimes, error) {
	return t.lifetimesAt(pastKey(service))
}

func pastKey(service uint16) uint32 { return uint32(bpf.ProgramLimitLIFETIMES_PAST) + uint32(service) }

// lifetimesAt is empty where there is no element: none has ended, the map is full, or the data plane is of a build that had
// no such map, and is replaced soon.
func (t *Tables) lifetimesAt(key uint32) (Lifetimes, error) {
	m := t.maps["lifetimes"]
	if m == nil {
		return Lifetimes{}, nil
	}
	var n bpf.ProgramLifetimes
	if err := m.Lookup(key, &n); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return Lifetimes{}, fmt.Errorf("read the lifetimes of generation or service %d: %w", key, err)
	}
	return n.Ended, nil
}

// keepLifetimes makes an element for each generation that has sessions to end, which the sweeper adds to. In a full map the
// rest has none.
func (t *Tables) keepLifetimes() error {
	m := t.maps["lifetimes"]
	if m == nil {
		return nil
	}
	for index := range t.generations {
		if s := t.generations[index].State; s != Live && s != Draining {
			continue
		}
		err := m.Update(uint32(index), bpf.ProgramLifetimes{}, ebpf.UpdateNoExist)
		switch {
		case errors.Is(err, unix.E2BIG):
			return nil
		case err != nil && !errors.Is(err, ebpf.ErrKeyExist):
			return fmt.Errorf("keep the lifetimes of generation index %d: %w", index, err)
		}
	}
	return nil
}

// foldLifetimes adds those of a generation that goes to its service's, and clears them. A daemon that is killed in between
// adds them twice.
func (t *Tables) foldLifetimes(generation uint16) error {
	from, err := t.Lifetimes(generation)
	if err != nil || t.maps["lifetimes"] == nil {
		return err
	}
	service := t.generations[generation].Service
	if from != (Lifetimes{}) { // one that nobody came to tells nothing
		to, err := t.PastLifetimes(service)
		if err != nil {
			return err
		}
		for i := range to {
			to[i] = to[i]/2 + from[i]
		}
		err = t.maps["lifetimes"].Put(pastKey(service), bpf.ProgramLifetimes{Ended: to})
		if err != nil && !errors.Is(err, unix.E2BIG) {
			return fmt.Errorf("keep the lifetimes of service index %d: %w", service, err)
		}
	}
	return t.deleteLifetimes(uint32(generation))
}

func (t *Tables) deleteLifetimes(key uint32) error {
	m := t.maps["lifetimes"]
	if m == nil {
		return nil
	}
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("clear the lifetimes of generation or service %d: %w", key, err)
	}
	return nil
}
