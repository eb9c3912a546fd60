package main

import (
	"fmt"
	"time"
)

// row is a line of the table.
type row struct {
	name  string
	goal  float64 // 0: for information only
	over  string  // the row that it is a ratio to; empty: the floor
	more  string  // the row that is taken off before: what is left is what this one adds
	unit  float64 // what it is counted in, ns, instead of the floor
	again string  // the row whose samples it looks at anew; it is not run
	rare  bool    // it takes long, and is measured in few rounds
	run   func() (float64, error)
	alone func() (float64, error) // its wrapper without the program; nil: it needs none
}

const (
	plainRow   = "established TCP, dsr"
	fewRow     = "100 listeners, more than dsr"
	crowdRow   = "10,000 listeners and 65,000 backends, more than dsr"
	besideRow  = "dsr, while another CPU forwards another flow"
	sharedRow  = "dsr, while another CPU forwards the same flow"
	freshRow   = "new flow"
	memoryRow  = "one random access to memory"
	countedRow = "ten million flows counted, ms"
)

func hashRow(bits int) string {
	return fmt.Sprintf("ipip, 2^%d random flows, a kernel HASH instead", bits)
}

func everyRow(listeners int) string { return fmt.Sprintf("dsr, flows into %d listeners", listeners) }

func flowsRow(bits int) string { return fmt.Sprintf("ipip, 2^%d random flows, to the HASH", bits) }

// rows in the order in which a round measures them: some leave behind what later ones need.
func (b *bench) rows() (rows []row) {
	rows = append(rows, b.establishedRows()...)
	rows = append(rows, b.manyServicesRows()...)
	rows = append(rows, b.newFlowRows()...)
	rows = append(rows, b.randomRows()...)
	rows = append(rows, b.sweepRows()...)
	return append(rows, b.flipRows()...)
}

func (b *bench) establishedRows() []row {
	alone := func(program string, frame []byte) func() (float64, error) {
		return b.hot.packets(program, frame, b.repeats, tx)
	}
	established := func(held []byte, program string, frame []byte) func() (float64, error) {
		return b.hot.established(held, 1, program, frame, b.repeats)
	}
	reply := shopReply(shop.first)
	return []row{
		{name: plainRow, goal: 3.0, run: established(gamePacket, "dsr", gamePacket), alone: alone("dsr_alone", gamePacket)},
		{name: "established TCP, nat in", goal: 3.5, run: established(shopPacket, "nat_in", shopPacket),
			alone: alone("nat_in_alone", shopPacket)},
		{name: "established TCP, nat reply", goal: 3.5, run: established(shopPacket, "nat_reply", reply),
			alone: alone("nat_reply_alone", reply)},
		{name: "established TCP, ipip", goal: 4.5, run: established(relayPacket, "ipip", relayPacket),
			alone: alone("ipip_alone", relayPacket)},
		{name: "established UDP, dsr", goal: 3.0, run: established(gameDatagram, "dsr", gameDatagram),
			alone: alone("dsr_alone", gameDatagram)},
		{name: "established UDP, ipip", goal: 4.5, run: established(relayDatagram, "ipip", relayDatagram),
			alone: alone("ipip_alone", relayDatagram)},
		{name: "established IPv6 TCP, dsr", goal: 4.0, run: established(gamePacket6, "dsr6", gamePacket6),
			alone: alone("dsr6_alone", gamePacket6)},
		{name: "established IPv6 TCP, ipip", goal: 5.5, run: established(relayPacket6, "ipip6", relayPacket6),
			alone: alone("ipip6_alone", relayPacket6)},
		{name: "affinity client, more than dsr", goal: 0.5, more: plainRow,
			run:   b.hot.established(guildPacket, 2, "dsr", guildPacket, b.repeats),
			alone: alone("dsr_alone", guildPacket)},
		{name: "canary and testers set, more than dsr", goal: 0.5, more: plainRow,
			run: established(fairPacket, "dsr", fairPacket), alone: alone("dsr_alone", fairPacket)},
		{name: besideRow, run: b.beside(gameDatagram), alone: alone("dsr_alone", gamePacket)},
		{name: sharedRow, run: b.beside(gamePacket), alone: alone("dsr_alone", gamePacket)},
		{name: "not ours, nat services configured", goal: 1.6, run: b.hot.packets("ebbtide", foreign, b.repeats, pass)},
	}
}

// manyServicesRows: one flow with so many listeners configured, then flows into all of them.
func (b *bench) manyServicesRows() []row {
	one := func(p *plane) func() (float64, error) {
		return p.established(crowdPacket, 1, "dsr", crowdPacket, b.repeats)
	}
	all := func(p *plane, services int) row {
		return row{name: everyRow(services * crowdListeners),
			run:   p.everywhere(uint32(services*crowdListeners), b.repeats),
			alone: p.packets("listeners_alone", crowdPacket, b.repeats, tx)}
	}
	alone := b.hot.packets("dsr_alone", crowdPacket, b.repeats, tx)
	return []row{
		{name: fewRow, goal: 0.5, more: plainRow, run: one(b.few), alone: alone},
		{name: crowdRow, goal: 0.5, more: plainRow, run: one(b.crowd), alone: alone},
		all(b.few, b.scale.few), all(b.crowd, b.scale.crowd),
	}
}

func (b *bench) newFlowRows() []row {
	alone := b.hot.packets("fresh_alone", gameSYN, b.repeats, tx)
	return []row{
		{name: freshRow, goal: 25, run: b.hot.hotInserts(gameSYN, b.scale.hot, b.runs), alone: alone},
		{name: "new flow, canary and testers set", run: b.hot.hotInserts(fairSYN, b.scale.hot, b.runs), alone: alone},
		{name: "new flow, affinity client", run: b.hot.hotInserts(guildSYN, b.scale.hot/2, b.runs), alone: alone},
		{name: "new flow, 2^20 inserted", goal: 60, run: func() (float64, error) {
			return b.wide.insert(gameSYN, "fresh", b.flows, callerClock)
		}, alone: alone},
		{name: "SYN flood on a full table", goal: 45, run: b.flooded.packets("fresh", gameSYN, b.flows, tx), alone: alone},
	}
}

// randomRows are packets of one of so many flows, all of which are in the same large table.
func (b *bench) randomRows() (rows []row) {
	rows = append(rows, row{name: memoryRow, run: b.memory.access(b.chain)})
	for _, bits := range []int{14, 17, 20} {
		many := min(uint32(1)<<bits, b.flows)
		rows = append(rows,
			row{name: hashRow(bits), run: b.hash.among(many, b.hash.packets("random_ipip", relayPacket, b.spread, tx)),
				alone: b.hash.among(many, b.hash.packets("random_ipip_alone", relayPacket, b.repeats, tx))},
			row{name: flowsRow(bits), goal: 0.45, over: hashRow(bits),
				run:   b.wide.among(many, b.wide.packets("random_ipip", relayPacket, b.spread, tx)),
				alone: b.wide.among(many, b.wide.packets("random_ipip_alone", relayPacket, b.repeats, tx))})
	}
	rows[1].run = first(func() (err error) { b.many, err = b.wide.fill(relaySYN, "fresh_ipip", b.flows); return err }, rows[1].run)
	return append(rows, row{name: "ipip, 2^20 random flows, to an access to memory", goal: 1.3, over: memoryRow, again: flowsRow(20)})
}

// sweepRows find the table as the random rows leave it.
func (b *bench) sweepRows() []row {
	ms := float64(time.Millisecond)
	return []row{
		{name: "sweep, a slot", goal: 0.6, run: func() (float64, error) {
			slices, err := b.wide.sweep(b.many, 0)
			return sumOf(slices) / b.wide.slots(), err
		}},
		{name: countedRow, goal: 100, unit: ms, rare: true, run: b.count},
		{name: "ten million flows expired, ms", goal: 100, unit: ms, rare: true, run: b.expire},
		{name: "the longest slice of those, ms", goal: 2, unit: ms, rare: true, run: b.longestSlice},
	}
}

func (b *bench) flipRows() []row {
	return []row{
		{name: "flip, as the data plane sees the store, µs", goal: 10, unit: float64(time.Microsecond), run: b.storeSeen},
		{name: "flip, as its user sees it, ms", goal: 60, unit: float64(time.Millisecond), run: b.flips.verb},
	}
}

// first does something before a run that is not measured.
func first(before func() error, run func() (float64, error)) func() (float64, error) {
	return func() (float64, error) {
		if err := before(); err != nil {
			return 0, err
		}
		return run()
	}
}
