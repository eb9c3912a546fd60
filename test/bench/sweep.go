package main

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

const sweepLines = 16384 // a slice, as the daemon takes it

// sweep walks the IPv4 table once, in slices, and returns the CPU time of each. It expects so many flows alive and so many
// freed.
func (p *plane) sweep(used, freed uint32) (slices []float64, err error) {
	var sum bpf.ProgramSweepArgs
	lines := p.SlotCount(maps.IPv4) / maps.Slots
	for first := uint32(0); first < lines; first += sweepLines {
		args := bpf.ProgramSweepArgs{Table: maps.IPv4, First: first, Lines: min(sweepLines, lines-first)}
		begin := threadTime()
		if _, err := p.coll.Programs["sweep"].Run(&ebpf.RunOptions{Context: &args, ContextOut: &args}); err != nil {
			return nil, fmt.Errorf("sweep: %w", err)
		}
		slices = append(slices, float64(threadTime()-begin))
		sum.Used += args.Used
		sum.Freed += args.Freed
	}
	if sum.Used != uint64(used) || sum.Freed != uint64(freed) {
		return nil, fmt.Errorf("the sweep found %d flows and freed %d, not %d and %d", sum.Used, sum.Freed, used, freed)
	}
	return slices, nil
}

// count sweeps the large table, all of whose flows live.
func (b *bench) count() (float64, error) {
	return b.sweepVast(b.alive, 0)
}

// expire sweeps the large table when all of its flows have expired, and puts them back.
func (b *bench) expire() (float64, error) {
	kept := make([]maps.Meta, b.vast.SlotCount(maps.IPv4))
	old := uint32(1<<25 - 1) // ticks ago: longer than any timeout
	for slot := range kept {
		m := b.vast.Meta(maps.IPv4, uint32(slot))
		kept[slot] = m
		if m.State() != maps.Free {
			b.vast.SwapMeta(maps.IPv4, uint32(slot), m, m.WithSeen((m.Seen()-old)&maps.TickMask))
		}
	}
	ns, err := b.sweepVast(0, b.alive)
	for slot, m := range kept {
		if m.State() != maps.Free {
			b.vast.SwapMeta(maps.IPv4, uint32(slot), b.vast.Meta(maps.IPv4, uint32(slot)), m)
		}
	}
	return ns, err
}

func (b *bench) sweepVast(used, freed uint32) (float64, error) {
	all, err := b.vast.sweep(used, freed)
	if err != nil {
		return 0, err
	}
	b.slices = append(b.slices, all...)
	return sumOf(all), nil
}

// longestSlice is that of the sweeps of the large table in this round: all but one in a hundred are shorter, since a slice
// that the machine interrupts is longer through no fault of its own.
func (b *bench) longestSlice() (float64, error) {
	slices.Sort(b.slices)
	longest := b.slices[len(b.slices)*99/100]
	b.slices = nil
	return longest, nil
}

func sumOf(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}
