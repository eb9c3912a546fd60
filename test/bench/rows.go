package main

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

const (
	rounds     = 11
	million    = 1_000_000
	hotFlows   = 16384     // new flows into a table that stays in the cache
	repeats    = 4_000_000 // of a run that takes nanoseconds
	spread     = 8_000_000 // of a run over a million flows: some seconds, so that ticks pass
	sweepLines = 16384     // a slice, as the daemon takes it
)

// bench holds the planes that the rows run on.
type bench struct {
	floor *ebpf.Collection
	hot   *plane // a small table
	wide  *plane // a table for a million flows
	hash  *plane // the same program on a kernel HASH that holds a million flows
}

func newBench() (*bench, error) {
	floorSpec, err := loadFloor()
	if err != nil {
		return nil, fmt.Errorf("read the floor's object: %w", err)
	}
	b := &bench{}
	if b.floor, err = ebpf.NewCollection(floorSpec); err != nil {
		return nil, fmt.Errorf("load the floor: %w", err)
	}
	for _, p := range []struct {
		at   **plane
		spec func() (*ebpf.CollectionSpec, error)
		size size
	}{
		{&b.hot, loadTable, size{maxFlows: hotFlows, flows: 1}},
		{&b.wide, loadTable, size{maxFlows: million, flows: million}},
		{&b.hash, loadHash, size{maxFlows: 1024, flows: million, hash: million}},
	} {
		spec, err := p.spec()
		if err != nil {
			return nil, fmt.Errorf("read a wrapper's object: %w", err)
		}
		if *p.at, err = newPlane(spec, p.size); err != nil {
			return nil, err
		}
	}
	if _, err := callerClock(b.hash.coll.Programs["fill"], gamePacket, million, tx); err != nil {
		return nil, err
	}
	return b, b.wide.fill()
}

func (b *bench) close() {
	b.floor.Close()
	for _, p := range []*plane{b.hot, b.wide, b.hash} {
		p.close()
	}
}

// fill pins a million flows and makes them established, a part at a time: a part that is established already is never
// replaced by what comes after.
func (p *plane) fill() error {
	const part = million / 8
	p.forget()
	if err := p.beginWith(0); err != nil {
		return err
	}
	for pinned := part; pinned <= million; pinned += part {
		if _, err := callerClock(p.coll.Programs["fresh"], gameSYN, part, tx); err != nil {
			return err
		}
		if n := p.establish(); n != pinned {
			return fmt.Errorf("%d of %d flows are pinned", n, pinned)
		}
	}
	return nil
}

func (p *plane) beginWith(flow uint32) error {
	if err := p.coll.Variables["next_flow"].Set(flow); err != nil {
		return fmt.Errorf("begin with flow %d: %w", flow, err)
	}
	return nil
}

// insert empties the table and pins so many new flows, on the kernel's clock or the caller's.
func (p *plane) insert(flows uint32, clock clock) (float64, error) {
	p.forget()
	if err := p.beginWith(0); err != nil {
		return 0, err
	}
	return clock(p.coll.Programs["fresh"], gameSYN, flows, tx)
}

// hold empties the table and pins the flow of a packet from a client, established.
func (p *plane) hold(frame []byte) error {
	p.forget()
	if _, err := callerClock(p.coll.Programs["ebbtide"], frame, 1, tx); err != nil {
		return err
	}
	if n := p.establish(); n != 1 {
		return fmt.Errorf("%d flows are pinned, not one", n)
	}
	return nil
}

// sweep walks the IPv4 table once and returns what a slot took.
func (p *plane) sweep() (float64, error) {
	var used uint64
	lines := p.SlotCount(maps.IPv4) / maps.Slots
	begin := threadTime()
	for first := uint32(0); first < lines; first += sweepLines {
		args := bpf.ProgramSweepArgs{Table: maps.IPv4, First: first, Lines: min(sweepLines, lines-first)}
		if _, err := p.coll.Programs["sweep"].Run(&ebpf.RunOptions{Context: &args, ContextOut: &args}); err != nil {
			return 0, fmt.Errorf("sweep: %w", err)
		}
		used += args.Used
	}
	ns := float64(threadTime()-begin) / float64(p.SlotCount(maps.IPv4))
	if used != million {
		return 0, fmt.Errorf("the sweep found %d flows of %d", used, million)
	}
	return ns, nil
}

// row is a line of the table.
type row struct {
	name  string
	goal  float64 // 0: for information only
	over  string  // the row that it is a ratio to; empty: the floor
	run   func() (float64, error)
	alone func() (float64, error) // its wrapper without the program; nil: it needs none
}

const hashRow = "dsr, a million random flows, kernel HASH instead"

// rows in the order in which a round measures them: some leave behind what later ones need.
func (b *bench) rows() []row {
	established := func(held []byte, program string, frame []byte) func() (float64, error) {
		return func() (float64, error) {
			if err := b.hot.hold(held); err != nil {
				return 0, err
			}
			return b.hot.packets(program, frame, repeats, tx)()
		}
	}
	reply := shopReply(backends + 1)
	return []row{
		{name: "established TCP, dsr", goal: 3.5, run: established(gamePacket, "dsr", gamePacket),
			alone: b.hot.packets("dsr_alone", gamePacket, repeats, tx)},
		{name: "established TCP, nat in", goal: 4.5, run: established(shopPacket, "nat_in", shopPacket),
			alone: b.hot.packets("nat_in_alone", shopPacket, repeats, tx)},
		{name: "established TCP, nat reply", goal: 4.5, run: established(shopPacket, "nat_reply", reply),
			alone: b.hot.packets("nat_reply_alone", reply, repeats, tx)},
		{name: "not ours", goal: 1.8, run: b.hot.packets("ebbtide", foreign, repeats, pass)},
		{name: "new flow", goal: 30, run: b.hot.hotInserts, alone: b.hot.packets("fresh_alone", gameSYN, repeats, tx)},
		{name: "new flow, a million inserted", run: func() (float64, error) { return b.wide.insert(million, callerClock) },
			alone: b.wide.packets("fresh_alone", gameSYN, repeats, tx)},
		{name: hashRow, run: b.hash.packets("random", gamePacket, spread, tx),
			alone: b.hash.packets("random_alone", gamePacket, repeats, tx)},
		{name: "dsr, a million random flows", goal: 0.45, over: hashRow, run: func() (float64, error) {
			b.wide.establish()
			return b.wide.packets("random", gamePacket, spread, tx)()
		}, alone: b.wide.packets("random_alone", gamePacket, repeats, tx)},
		{name: "sweep, a slot", goal: 1, run: b.wide.sweep},
	}
}

// packets is a run of a program.
func (p *plane) packets(program string, frame []byte, repeat uint32, want verdict) func() (float64, error) {
	return func() (float64, error) { return callerClock(p.coll.Programs[program], frame, repeat, want) }
}

// hotInserts takes the mean over many short runs, each into an empty table.
func (p *plane) hotInserts() (float64, error) {
	const runs = 64
	var sum float64
	for range runs {
		ns, err := p.insert(hotFlows, kernelClock)
		if err != nil {
			return 0, err
		}
		sum += ns
	}
	return sum / runs, nil
}
