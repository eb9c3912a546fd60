package model

import (
	"encoding/binary"
	"net/netip"
)

// fragmentTicks is how long a datagram may take.
const fragmentTicks = 30

// noted is where a datagram's first fragment went: to a backend, or from one to the client of a slot.
type noted struct {
	backend     uint16
	vip         uint16
	slot        int
	established bool
	Age         int64
}

// Fragments of one line: what was noted, in the order in which it lies.
type fragmentSlot struct {
	Key   uint64
	Where noted
}

// fragments are the lines that have any.
type fragments map[uint32]*[4]fragmentSlot

const fragmentLines = 2048

// fragmentKey tells datagrams apart.
func (m *Model) fragmentKey(f *frame) uint64 {
	mix := func(x, word, factor uint64) uint64 {
		x = (x ^ word) * factor
		return x ^ x>>32
	}
	three := func(a, b, c uint64) uint64 {
		h := mix(mix(mix(m.Seed, a, 0x9e3779b97f4a7c15), b, 0xbf58476d1ce4e5b9), c, 0x94d049bb133111eb)
		return mix(h, m.Seed, 0x9e3779b97f4a7c15) | 1
	}
	word := func(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }
	from, to := f.from.Addr().AsSlice(), f.to.Addr().AsSlice()
	if f.family == V4 {
		id := uint64(binary.LittleEndian.Uint16(f.fragment.id[:]))
		return three(word(from)<<32|word(to), id<<8|uint64(f.proto), V4)
	}
	pair := func(b []byte) uint64 { return word(b)<<32 | word(b[4:]) }
	source := three(pair(from), pair(from[8:]), word(f.fragment.id[:]))
	return three(pair(to), pair(to[8:]), source)
}

// rank says who makes room: what is free or old, then what no established flow noted, then the oldest.
func (s *fragmentSlot) rank() int64 {
	switch {
	case s.Where == noted{} || s.Where.Age > fragmentTicks:
		return idle
	case s.Where.established:
		return s.Where.Age
	}
	return s.Where.Age + 1<<12
}

// idle is the rank of what nobody needs any more.
const idle = 1 << 20

func (m *Model) note(f *frame, where noted) {
	key := m.fragmentKey(f)
	line := m.Fragments[uint32(key>>32)%fragmentLines]
	if line == nil {
		line = &[4]fragmentSlot{}
		m.Fragments[uint32(key>>32)%fragmentLines] = line
	}
	best := 0
	for i := range line {
		if line[i].Key == key {
			line[i].Where = where
			return
		}
		if line[i].rank() > line[best].rank() {
			best = i
		}
	}
	if line[best].rank() < 1<<12 && !where.established {
		return
	}
	line[best] = fragmentSlot{key, where}
}

// laterFragment follows its first.
func (m *Model) laterFragment(f *frame) Result {
	if !f.whole() {
		return m.unreadable(f, "drop_malformed")
	}
	key := m.fragmentKey(f)
	line := m.Fragments[uint32(key>>32)%fragmentLines]
	for i := 0; line != nil && i < len(line); i++ {
		s := line[i]
		if s.Key != key || s.Where.Age > fragmentTicks {
			continue
		}
		m.Reasons["event_fragment"]++
		if s.Where.backend != 0 {
			return m.forward(f, m.Backends[f.family][s.Where.backend], uint32(key>>32), false)
		}
		hop := m.tables[f.family].slots[s.Where.slot].LastHop
		return m.sendBack(f, hop, netip.AddrPortFrom(m.VIPs[s.Where.vip].Addr, 0), false)
	}
	return m.unreadable(f, "drop_fragment")
}
