// Package maglev builds the table by which a new flow is steered to a backend:
// Maglev hashing as in Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer", NSDI 2016, section 3.4.
//
// A table depends on the names and weights of the backends only, not on their
// order and not on the host, so that every host with the same configuration
// steers a flow alike.
package maglev

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Version of the tables: raised when Build or Size gives another table for the same backends, so that those in the kernel
// are known to be old.
const Version = 1

// Entry is one backend. Names have to differ. A weight of 0 takes no slots.
type Entry struct {
	Name   string
	Weight uint32
}

// candidate is an entry on its way through its permutation of the slots.
type candidate struct {
	name   string
	index  uint16 // in what Build was given
	weight uint64
	credit uint64
	next   uint64 // the slot to try next
	skip   uint64
}

// free marks a slot that nobody has taken yet.
const free = -1

// Build gives a table of size slots, each the index of a backend. It is nil
// when no backend has a weight. With n such backends, a sum W of weights and
// n <= size, a backend of weight w gets
//
//	at least size*w/W*(1-n/size) - 1 and at most size*w/W + 2
//
// slots, and never none. The work grows with the largest weight over the mean
// one, so weights should stay in the hundreds.
//
// Build panics when size is not a prime of at most 65537 or there are more
// than 65536 backends: a table can't say then what it should.
func Build(backends []Entry, size int) []uint16 {
	if len(backends) > 1<<16 {
		panic("maglev: more than 65536 backends")
	}
	if size > 1<<16+1 || !isPrime(size) {
		panic("maglev: table size is not a prime of at most 65537")
	}
	candidates, heaviest := permutations(backends, uint64(size))
	if len(candidates) == 0 {
		return nil
	}
	slots := make([]int32, size)
	for i := range slots {
		slots[i] = free
	}
	populate(slots, candidates, heaviest)
	table := make([]uint16, size)
	for i, index := range slots {
		table[i] = uint16(index)
	}
	return table
}

// permutations gives the candidates in an order of their own and the largest
// weight. offset and skip are the paper's: as the size is prime, the slots
// offset + j*skip are all slots, each once.
func permutations(backends []Entry, size uint64) ([]candidate, uint64) {
	var heaviest uint64
	candidates := make([]candidate, 0, len(backends))
	for i, b := range backends {
		if b.Weight == 0 {
			continue
		}
		sum := sha256.Sum256([]byte(b.Name))
		candidates = append(candidates, candidate{
			name:   b.Name,
			index:  uint16(i),
			weight: uint64(b.Weight),
			next:   binary.BigEndian.Uint64(sum[:8]) % size,
			skip:   binary.BigEndian.Uint64(sum[8:16])%(size-1) + 1,
		})
		heaviest = max(heaviest, uint64(b.Weight))
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.name, b.name) })
	return candidates, heaviest
}

// populate fills the slots in rounds, as the paper's figure of the same name.
// For its weights, which the paper leaves open, a candidate saves its weight
// each round and takes a slot when it has saved the heaviest one. All start
// with enough for the first round, so that nobody goes without.
func populate(slots []int32, candidates []candidate, heaviest uint64) {
	for i := range candidates {
		candidates[i].credit = heaviest - candidates[i].weight
	}
	for left := len(slots); ; {
		for i := range candidates {
			c := &candidates[i]
			if c.credit += c.weight; c.credit < heaviest {
				continue
			}
			c.credit -= heaviest
			c.take(slots)
			if left--; left == 0 {
				return
			}
		}
	}
}

// take gives c the first free slot of its permutation. There must be one.
func (c *candidate) take(slots []int32) {
	size := uint64(len(slots))
	for {
		slot := c.next
		if c.next += c.skip; c.next >= size {
			c.next -= size
		}
		if slots[slot] == free {
			slots[slot] = int32(c.index)
			return
		}
	}
}
