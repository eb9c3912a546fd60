package main

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/maps"
)

// scale is how large the bench is: tests run a small one.
type scale struct {
	rounds  int
	repeats uint32 // of a run that takes nanoseconds
	spread  uint32 // of a run over many flows: some seconds, so that ticks pass
	runs    int    // of new flows into a hot table
	hot     uint32 // new flows into a table that stays in the cache
	flows   uint32 // that the large tables hold
	swept   uint32 // flows that are counted and expired
	crowd   int    // services, with ten listeners and 65 backends each
	few     int    // the same, less of them
	chain   int    // of accesses to memory
}

var full = scale{
	rounds: 5, repeats: 3_000_000, spread: 4_000_000, runs: 64, hot: 16384, flows: 1 << 20, swept: 10_000_000, crowd: 1000,
	few: 10, chain: 1 << 20,
}

// bench holds the planes that the rows run on.
type bench struct {
	scale
	other   int // a CPU that does not measure
	floor   *ebpf.Collection
	hot     *plane // a small table
	wide    *plane // a table for many flows
	hash    *plane // the same program on a kernel HASH that holds as many
	flooded *plane // a table that is full of half-open flows
	vast    *plane // a table for the flows that are counted and expired
	few     *plane // services and listeners
	crowd   *plane // as many as there may be
	memory  *memory
	flips   *flips
	many    uint32    // flows in the wide table
	alive   uint32    // flows in the table for those that are counted
	slices  []float64 // CPU time of the slices of the last large sweep, ns
}

var crowdPrograms = []string{"dsr", "listeners", "listeners_alone", "listeners_fresh"}

func newBench(s scale, other int) (*bench, error) {
	floorSpec, err := loadFloor()
	if err != nil {
		return nil, fmt.Errorf("read the floor's object: %w", err)
	}
	b := &bench{scale: s, other: other}
	if b.floor, err = ebpf.NewCollection(floorSpec); err != nil {
		return nil, fmt.Errorf("load the floor: %w", err)
	}
	for _, p := range []struct {
		at   **plane
		spec func() (*ebpf.CollectionSpec, error)
		size size
	}{
		{&b.hot, loadTable, size{maxFlows: s.hot}},
		{&b.wide, loadTable, size{maxFlows: s.flows, only: []string{"fresh", "fresh_ipip", "random_ipip", "random_ipip_alone"}}},
		{&b.flooded, loadTable, size{maxFlows: s.flows, only: []string{"fresh"}}},
		{&b.vast, loadTable, size{maxFlows: s.swept, only: []string{"fresh"}}},
		{&b.few, loadTable, size{maxFlows: s.hot, crowd: s.few, only: crowdPrograms}},
		{&b.crowd, loadTable, size{maxFlows: s.hot, crowd: s.crowd, only: crowdPrograms}},
		{&b.hash, loadHash, size{maxFlows: 1024, hash: s.flows}},
	} {
		spec, err := p.spec()
		if err != nil {
			return nil, fmt.Errorf("read a wrapper's object: %w", err)
		}
		if *p.at, err = newPlane(spec, p.size); err != nil {
			return nil, err
		}
	}
	if b.memory, err = newMemory(); err != nil {
		return nil, err
	}
	if b.flips, err = newFlips(); err != nil {
		return nil, err
	}
	return b, b.fillAll()
}

func (b *bench) close() {
	if b.flips != nil {
		b.flips.close()
	}
	if b.memory != nil {
		b.memory.close()
	}
	b.floor.Close()
	for _, p := range []*plane{b.hot, b.wide, b.flooded, b.vast, b.few, b.crowd, b.hash} {
		p.close()
	}
}

// fillAll puts the flows in that rows find there.
func (b *bench) fillAll() error {
	if _, err := callerClock(b.hash.coll.Programs["fill"], gamePacket, b.flows, tx); err != nil {
		return err
	}
	var err error
	if b.alive, err = b.vast.fill(gameSYN, "fresh", b.swept); err != nil {
		return err
	}
	// Three SYNs for each flow that a table holds for sure leave it no free slot.
	_, err = callerClock(b.flooded.coll.Programs["fresh"], gameSYN, 3*b.flows, tx)
	return err
}

// fill pins flows and makes them established, a part at a time: a part that is established already is never replaced by what
// comes after. It returns how many there are: of millions one may find no place.
func (p *plane) fill(syn []byte, program string, flows uint32) (pinned uint32, err error) {
	const parts, lost = 8, 1_000_000
	p.forget()
	if err := p.beginWith(0); err != nil {
		return 0, err
	}
	for i := range uint32(parts) {
		if _, err := callerClock(p.coll.Programs[program], syn, flows/parts, tx); err != nil {
			return 0, err
		}
		want := flows / parts * (i + 1)
		if pinned = uint32(p.establish()); pinned < want-want/lost {
			return 0, fmt.Errorf("%d of %d flows are pinned", pinned, want)
		}
	}
	return pinned, nil
}

// set changes a variable of the wrappers.
func (p *plane) set(name string, value any) error {
	if err := p.coll.Variables[name].Set(value); err != nil {
		return fmt.Errorf("set %s to %v: %w", name, value, err)
	}
	return nil
}

func (p *plane) beginWith(flow uint32) error { return p.set("next_flow", flow) }

// insert empties the table and pins so many new flows, on the kernel's clock or the caller's.
func (p *plane) insert(syn []byte, program string, flows uint32, clock clock) (float64, error) {
	p.forget()
	if err := p.beginWith(0); err != nil {
		return 0, err
	}
	return clock(p.coll.Programs[program], syn, flows, tx)
}

// hold empties the tables and pins the flow of a packet from a client, established; entries more than one are sessions.
func (p *plane) hold(frame []byte, entries int) error {
	p.forget()
	if _, err := callerClock(p.coll.Programs["ebbtide"], frame, 1, tx); err != nil {
		return err
	}
	if n := p.establish(); n != entries {
		return fmt.Errorf("%d entries are pinned, not %d", n, entries)
	}
	return nil
}

// packets is a run of a program.
func (p *plane) packets(program string, frame []byte, repeat uint32, want verdict) func() (float64, error) {
	return func() (float64, error) { return callerClock(p.coll.Programs[program], frame, repeat, want) }
}

// established is a run of a program over one flow, which it is the only one of.
func (p *plane) established(held []byte, entries int, program string, frame []byte, repeat uint32) func() (float64, error) {
	return func() (float64, error) {
		if err := p.hold(held, entries); err != nil {
			return 0, err
		}
		return p.packets(program, frame, repeat, tx)()
	}
}

// among is a run of a program that picks one of so many for each packet.
func (p *plane) among(many uint32, run func() (float64, error)) func() (float64, error) {
	return func() (float64, error) {
		if err := p.set("among", many); err != nil {
			return 0, err
		}
		return run()
	}
}

// everywhere is a run over one client's flow into each of so many listeners of the crowd.
func (p *plane) everywhere(listeners, repeat uint32) func() (float64, error) {
	return func() (float64, error) {
		if _, err := p.insert(crowdPacket, "listeners_fresh", listeners, callerClock); err != nil {
			return 0, err
		}
		if n := p.establish(); n != int(listeners) {
			return 0, fmt.Errorf("%d of %d flows are pinned", n, listeners)
		}
		return p.among(listeners, p.packets("listeners", crowdPacket, repeat, tx))()
	}
}

// hotInserts takes the mean over many short runs, each into an empty table.
func (p *plane) hotInserts(syn []byte, flows uint32, runs int) func() (float64, error) {
	return func() (sum float64, err error) {
		for range runs {
			ns, err := p.insert(syn, "fresh", flows, kernelClock)
			if err != nil {
				return 0, err
			}
			sum += ns / float64(runs)
		}
		return sum, nil
	}
}

// slots of the IPv4 table.
func (p *plane) slots() float64 { return float64(p.SlotCount(maps.IPv4)) }
