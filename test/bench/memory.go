package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

const (
	memoryBytes = 256 << 20 // far more than any cache
	cacheLine   = 64
)

// memory is a chain of cache lines in random order, in pages of the size that maps have.
type memory struct {
	data []byte
	at   uint32
}

func newMemory() (*memory, error) {
	data, err := unix.Mmap(-1, 0, memoryBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", memoryBytes, err)
	}
	if err := unix.Madvise(data, unix.MADV_NOHUGEPAGE); err != nil {
		return nil, fmt.Errorf("ask for small pages: %w", err)
	}
	lines := uint32(memoryBytes / cacheLine)
	order := make([]uint32, lines)
	for i := range order {
		order[i] = uint32(i)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := lines - 1; i > 0; i-- { // Sattolo: one cycle through all
		j := r.Uint32N(i)
		order[i], order[j] = order[j], order[i]
	}
	for i, next := range order {
		binary.NativeEndian.PutUint32(data[i*cacheLine:], next)
	}
	return &memory{data: data}, nil
}

func (m *memory) close() { unix.Munmap(m.data) }

// access follows the chain, and returns what an access takes: each has to wait for the one before.
func (m *memory) access(times int) func() (float64, error) {
	return func() (float64, error) {
		begin := threadTime()
		for range times {
			m.at = binary.NativeEndian.Uint32(m.data[m.at*cacheLine:])
		}
		return float64((threadTime()-begin)/time.Nanosecond) / float64(times), nil
	}
}
