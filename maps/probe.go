package maps

import (
	"math/rand/v2"

	"github.com/ebbtide/ebbtide/bpf"
)

const (
	linesMain  = int(bpf.ProgramLimitLINES_MAIN)
	linesStash = int(bpf.ProgramLimitLINES_STASH)
)

// LongestProbe is the largest number of lines that the lookup of a flow has to visit: over a sample of so many slots, and
// over all of the overflow. 0: no flow was met.
func (t *Tables) LongestProbe(f Family, sample int) (lines int, err error) {
	seed, err := t.seed()
	if err != nil {
		return 0, err
	}
	main := t.layouts[f].Lines * Slots
	for range sample {
		lines = max(lines, t.probe(f, rand.Uint32N(main), seed))
	}
	for slot := main; slot < t.SlotCount(f); slot++ {
		lines = max(lines, t.probe(f, slot, seed))
	}
	return lines, nil
}

// probe is the number of lines that the lookup of a slot's flow visits; 0 when the slot holds none, or changes meanwhile.
func (t *Tables) probe(f Family, slot uint32, seed uint64) int {
	before := t.Meta(f, slot)
	if before.State() < HalfOpen {
		return 0
	}
	hash := bucketHash(f, t.keyOf(f, slot), before.Tag(), seed)
	if (before ^ t.Meta(f, slot)).WithSeen(0) != 0 {
		return 0
	}
	for i := range linesMain + linesStash {
		if candidate(t.layouts[f], hash, i) == slot/Slots {
			return i + 1
		}
	}
	return 0
}

// keyOf reads all words of a slot's key. IPv4 has one.
func (t *Tables) keyOf(f Family, slot uint32) [3]uint64 {
	if f == IPv4 {
		return [3]uint64{t.keyAt(f, slot, 0)}
	}
	return [3]uint64{t.keyAt(f, slot, 0), t.keyAt(f, slot, 1), t.keyAt(f, slot, 2)}
}

// bucketHash is flow_id4_of() and flow_id6_of() of the program: of a key as its slot has it.
func bucketHash(f Family, key [3]uint64, vip uint16, seed uint64) uint64 {
	if f == IPv4 {
		return mix(mix(seed, key[0]+uint64(vip), mixOne), seed, mixTwo)
	}
	h := mix(mix(seed, key[1], mixOne), key[2], mixTwo)
	return mix(mix(h, key[0], mixOne), seed, mixTwo)
}

func mix(x, word, factor uint64) uint64 {
	x = (x ^ word) * factor
	return x ^ x>>32
}

// candidate is candidate() of the program: the i-th line in which a flow of this hash may lie.
func candidate(l Layout, hash uint64, i int) uint32 {
	half := hash >> 32
	if i < linesMain {
		if i < 2 {
			half = hash & 0xffffffff
		}
		return uint32(half*uint64(l.Lines)>>32) ^ uint32(i&1)
	}
	half = hash * mixThree >> 32
	window := half * uint64(l.Stash/uint32(linesStash)) >> 32
	return l.Lines + uint32(window)*uint32(linesStash) + uint32(i-linesMain)
}
