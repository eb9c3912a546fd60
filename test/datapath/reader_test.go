package datapath

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// A reader that dawdles between its loads, while another CPU gives the slot that it looks at from one flow to the other
// and back. In IPv6 their keys share the first word. A rule that is left out lets the reader follow the other flow's
// pin. Claims are counted in IPv6 only: a key of one word can't be half of one flow and half of another.
func TestWithoutARuleForReadersAPacketFollowsAnothersPin(t *testing.T) {
	for _, c := range []struct {
		name string
		rule bpftest.ProgramRule
		fam  maps.Family
	}{
		{"every rule, IPv4", 0, maps.IPv4},
		{"every rule, IPv6", 0, maps.IPv6},
		{"meta is loaded again after the key, IPv4", bpftest.ProgramRuleRULE_RECHECK, maps.IPv4},
		{"meta is loaded again after the key, IPv6", bpftest.ProgramRuleRULE_RECHECK, maps.IPv6},
		{"claims are counted, IPv6", bpftest.ProgramRuleRULE_CLAIMS, maps.IPv6},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options{flows: 1, testBuild: true, stall: 5000}
			o.leaveOut = c.rule & bpftest.ProgramRuleRULE_CLAIMS // the writer counts them
			d := mustDuel(t, o, c.fam, 1)
			o.leaveOut = c.rule | bpftest.ProgramRuleSTALL_READ | bpftest.ProgramRuleSTALL_RECHECK
			slow := mustSibling(t, d.plane, o)
			limit := time.Minute
			if c.rule == 0 {
				limit = time.Second
			}
			foul := d.dawdle(slow, limit)
			if (foul == "") != (c.rule == 0) {
				t.Errorf("foul: %q", foul)
			}
			t.Log(foul)
		})
	}
}

// dawdle runs the slow reader of flow 0 on one CPU, and the contest of flows 0 and 1 for a slot on the other.
func (d *duel) dawdle(slow *ebpf.Program, limit time.Duration) string {
	var stop atomic.Bool
	begin := time.Now()
	onTwoCPUs(d.tb, func(cpu int) error {
		defer stop.Store(true)
		if cpu == 1 {
			return d.contest(&stop)
		}
		for time.Since(begin) < limit && !stop.Load() {
			if err := d.lookSlowly(slow); err != nil || d.foul.Load() != nil {
				return err
			}
		}
		return nil
	})
	return d.judge()
}

func (d *duel) lookSlowly(slow *ebpf.Program) error {
	in := d.flows[0].flagged(ack).bytes()
	opts := ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+64)}
	ret, err := slow.Run(&opts)
	if err != nil {
		return err
	}
	d.sent[0].Add(1)
	if got := source(opts.DataOut); verdict(ret) == tx && got != 11 {
		d.foulPlay(fmt.Sprintf("a packet of flow 0 went to backend %d", got))
	}
	return nil
}

// contest gives the spare slot to flow 0 and flow 1 in turn: established, then closing, so that the other can take it.
func (d *duel) contest(stop *atomic.Bool) error {
	for i := 0; !stop.Load(); i = 1 - i {
		if err := d.shoot(i, syn); err != nil {
			return err
		}
		d.turn(maps.HalfOpen, maps.Established)
		d.turn(maps.Established, maps.Closing)
	}
	return nil
}

// turn changes the state of the contested slot, wherever it is.
func (d *duel) turn(from, to maps.FlowState) {
	slot := d.contested
	old := d.Meta(d.family, slot)
	if old.State() == from {
		d.SwapMeta(d.family, slot, old, old&^7|maps.Meta(to))
	}
}
