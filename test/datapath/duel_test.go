package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/maps"
)

// duel is a full table but for a few slots, and four flows that fight for them on two CPUs. The steering hash alone
// fixes which backend each flow belongs to, whatever happens to its entries, and each of the four backends has a
// generation of its own: a packet steered by another flow's entry is counted there. Backends are
// told apart by the source MAC.
type duel struct {
	*world
	family maps.Family
	flows  [4]frame // by backend: 11, 12, 13, 14
	sent   [4]atomic.Uint64
	foul   atomic.Pointer[string]

	contested uint32 // a spare slot, in the first line of flow 0
}

func mustDuel(tb testing.TB, o options, fam maps.Family, spare int) *duel {
	tb.Helper()
	d := &duel{world: mustWorld(tb, o, 4), family: fam}
	for i := range uint16(4) {
		id := 11 + i
		d.PutBackend(fam, id, maps.Backend{
			Addr: backendAddr(fam, id), Generation: 1 + i, Service: game, Use: maps.InPool,
		})
		d.SetHop(fam, id, maps.Hop{IfIndex: inside, SrcMAC: backendMAC(id), DstMAC: routerMAC})
	}
	d.pickFlows()
	d.crowdOut(spare)
	return d
}

// pickFlows finds a flow for each backend. Those of IPv6 differ in the address only, so that their slots share the
// word that readers compare first.
func (d *duel) pickFlows() {
	found := 0
	for i := uint16(1); found < 4; i++ {
		f := gamePacket(d.family, syn)
		if d.family == maps.IPv4 {
			f = f.at(i)
		} else {
			addr := f.from.Addr().As16()
			binary.BigEndian.PutUint16(addr[12:], i)
			f.from = netip.AddrPortFrom(netip.AddrFrom16(addr), 40001)
		}
		d.free(func(maps.Flow) bool { return true })
		_, out := d.run(d.tb, f.bytes())
		if at := source(out) - 11; d.flows[at].dst == (mac{}) {
			d.flows[at] = f
			found++
			if at == 0 {
				d.contested = d.pin(f).Slot // the table is empty enough for its first line
			}
		}
	}
	d.free(func(maps.Flow) bool { return true })
}

// source is the backend that a duel's frame was sent to.
func source(out []byte) uint16 { return binary.BigEndian.Uint16(out[10:]) }

// free empties slots.
func (d *duel) free(which func(maps.Flow) bool) {
	for f := range d.Flows() {
		if !which(f) {
			continue
		}
		old := d.Meta(f.Family, f.Slot)
		empty := maps.Meta(0)
		if f.Family == maps.IPv6 {
			empty = old & (0x3fff << 8) // claims outlive the entry
		}
		d.SwapMeta(f.Family, f.Slot, old, empty)
	}
}

// crowdOut fills the table with established flows and frees so many slots of the candidate lines.
func (d *duel) crowdOut(spare int) {
	d.fill(d.family, d.allSlots(d.family))
	d.free(func(f maps.Flow) bool { return f.Slot == d.contested })
	d.free(func(f maps.Flow) bool {
		if f.Slot >= uint32(d.mainSlots(d.family)) || spare <= 1 {
			return false
		}
		spare--
		return true
	})
	d.clearCounters()
}

func (d *duel) clearCounters() {
	d.must(errors.Join(resetPerCPU(d.maps["generation_counters"]), resetPerCPU(d.maps["backend_counters"])))
	for i := range d.sent {
		d.sent[i].Store(0)
	}
}

// fight lets both CPUs send so many packets of all four flows. Who is there first waits: else he may be through before the other.
func (d *duel) fight(packets int, seed uint64) {
	var waiting atomic.Int32
	onTwoCPUs(d.tb, func(cpu int) error {
		for waiting.Add(1); waiting.Load() < 2; {
		}
		random := rand.New(rand.NewPCG(seed, uint64(cpu)))
		for range packets {
			flags := []uint8{syn, syn, syn, ack, fin | ack}[random.IntN(5)]
			if err := d.shoot(random.IntN(4), flags); err != nil {
				return err
			}
		}
		return nil
	})
}

// shoot sends one packet, and looks where it went.
func (d *duel) shoot(at int, flags uint8) error {
	in := d.flows[at].flagged(flags).bytes()
	opts := ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+64)}
	ret, err := d.program.Run(&opts)
	if err != nil {
		return fmt.Errorf("run a packet: %w", err)
	}
	d.sent[at].Add(1)
	if got := source(opts.DataOut); verdict(ret) == tx && got != uint16(11+at) {
		d.foulPlay(fmt.Sprintf("a packet of flow %d, flags %#x, went to backend %d", at, flags, got))
	}
	return nil
}

func (d *duel) foulPlay(what string) { d.foul.CompareAndSwap(nil, &what) }

// judge looks for what must never be, now that no packet is under way: a packet of one flow at another's backend, two
// entries of a flow, an entry with another flow's backend, a slot or a stripe left behind, a claim that was broken.
func (d *duel) judge() string {
	if foul := d.foul.Load(); foul != nil {
		return *foul
	}
	counts := d.counts(d.tb)
	for i := range d.sent {
		got, _ := counts.Backend(uint16(11 + i))
		if sent := d.sent[i].Load(); got.Packets > sent {
			return fmt.Sprintf("backend %d has %d packets, its flow sent %d", 11+i, got.Packets, sent)
		}
	}
	if n := d.counters(d.tb)["event_publish_lost"]; n != 0 {
		return fmt.Sprintf("%d claimed slots changed under their owner", n)
	}
	return d.judgeTable()
}

func (d *duel) judgeTable() string {
	slots := map[key]uint32{}
	for f := range d.Flows() {
		k := key{f.Client, f.Port, f.VIP}
		if other, twice := slots[k]; twice {
			return fmt.Sprintf("flow %v has two entries: slots %d and %d", k, other, f.Slot)
		}
		slots[k] = f.Slot
		for i, flow := range d.flows {
			if flow.key() == k && f.Backend != uint16(11+i) {
				return fmt.Sprintf("the entry of flow %d names backend %d", i, f.Backend)
			}
		}
	}
	for slot := range d.SlotCount(d.family) {
		if d.Meta(d.family, slot).State() == maps.Claimed {
			return fmt.Sprintf("slot %d stays claimed", slot)
		}
	}
	return ""
}

// judgeSums is for a duel that was fair: what did not arrive was dropped with a reason.
func (d *duel) judgeSums() {
	d.tb.Helper()
	var sent, arrived uint64
	counts := d.counts(d.tb)
	for i := range d.sent {
		got, _ := counts.Backend(uint16(11 + i))
		sent += d.sent[i].Load()
		arrived += got.Packets
	}
	if dropped := d.counters(d.tb)["drop_stripe_busy"]; arrived+dropped != sent {
		d.tb.Errorf("%d packets sent, %d arrived, %d dropped", sent, arrived, dropped)
	}
	checkReleased(d.tb, d.world)
}

// disturb ages entries past their timeout and sweeps, beside the fight, until it is told to stop.
func (d *duel) disturb(stop *atomic.Bool) {
	for !stop.Load() {
		for f := range d.Flows() {
			old := d.Meta(f.Family, f.Slot)
			if f.State != maps.Established && old.State() >= maps.HalfOpen {
				d.SwapMeta(f.Family, f.Slot, old, old.WithSeen(old.Seen()-standard[maps.TCP]-1))
			}
		}
		if _, err := d.RunSweep(d.sweeper); err != nil {
			d.tb.Error(err)
			return
		}
	}
}

// until fights until something is wrong, or time is up.
func (d *duel) until(limit time.Duration) string {
	for begin, seed := time.Now(), uint64(0); time.Since(begin) < limit; seed++ {
		d.fight(100, seed)
		if foul := d.judge(); foul != "" {
			return foul
		}
	}
	return ""
}
