package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/test/lab"
	"github.com/ebbtide/ebbtide/test/storm"
)

// Two CPUs take packets of the same new flows from the wire at the same moment, each by an interface of its own, while
// the service flips every few microseconds: all packets of a flow go to one backend.
func TestTwoCPUsAndAFlipLoopSendNoFlowToTwoBackends(t *testing.T) {
	for _, vip := range []netip.Addr{lab.VIP4, lab.VIP6} {
		r := mustRace(t, setting{leaveOut: bpftest.ProgramRuleSTALL_PUBLISH, stall: 2000}, vip)
		var f storm.Finish
		var moved map[string]uint64
		for range 16 { // where other work keeps one of the CPUs, they may not meet at once
			if f, moved = r.run(t, 1<<18), r.reasons(t); moved["event_cas_lost"] > 10 {
				break
			}
		}
		t.Logf("%s: %+v, %d compare-and-swaps lost, %d packets of busy stripes", vip, f, moved["event_cas_lost"], moved["drop_stripe_busy"])
		if f.Astray != 0 {
			t.Errorf("%s: %d packets went elsewhere than an earlier one of their flow", vip, f.Astray)
		}
		if moved["event_cas_lost"] == 0 || f.Flips == 0 || f.Packets == 0 {
			t.Errorf("%s: no compare-and-swap was lost, or nothing flipped or arrived: the CPUs never met, and this has not tested", vip)
		}
		if n := moved["event_publish_lost"]; n != 0 {
			t.Errorf("%s: %d claimed slots changed under their owner", vip, n)
		}
		for _, version := range []string{blue, green} {
			if r.generation(t, version).New == 0 {
				t.Errorf("%s: no new session on %s", vip, version)
			}
		}
	}
}

// The stripe is what keeps the two apart.
func TestWithoutTheStripeTwoCPUsSendFlowsToTwoBackends(t *testing.T) {
	r := mustRace(t, setting{leaveOut: bpftest.ProgramRuleSTALL_PUBLISH | bpftest.ProgramRuleRULE_LOCK, stall: 2000}, lab.VIP4)
	var f storm.Finish
	for range 16 { // as above
		if f = r.run(t, 1<<18); f.Astray > 0 {
			break
		}
	}
	t.Logf("%+v", f)
	if f.Astray == 0 {
		t.Error("without it no packet went astray")
	}
}

// race is a stage whose clients are two CPUs.
type race struct {
	*stage
	storm *storm.Storm
}

func mustRace(t *testing.T, set setting, vip netip.Addr) *race {
	t.Helper()
	set.arms, set.vips, set.maxFlows, set.timeouts = lab.TwoArms, []netip.Addr{vip}, 1<<18, calm
	r := &race{stage: mustStage(t, set)}
	tab := r.table(t)
	course := storm.Course{MACs: [2][6]byte{mustMAC(t, r.lab.LB, "eth0"), mustMAC(t, r.lab.LB, "eth1")}}
	for index, g := range tab.plane.Tables.Generations() {
		course.Service = g.Service
		course.Steer[g.Number-1] = uint64(index) // live is the word's lowest bits
	}
	course.Services = tab.plane.Tables.Map("services")
	var err error
	if r.storm, err = storm.NewRace(course); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.storm.Close() })
	if err := r.lab.Absorb(r.storm.Witness()); err != nil {
		t.Fatal(err)
	}
	from := storm.Net4.Addr()
	if vip.Is6() {
		from = storm.Net6.Addr()
	}
	if err := r.storm.Set([2]storm.Template{datagrams(from, vip)[0], segments(syn)(from, vip)[0]}); err != nil {
		t.Fatal(err)
	}
	return r
}

// run sends so many packets from each CPU, and waits until they have gone through.
func (r *race) run(t *testing.T, packets int) storm.Finish {
	t.Helper()
	var g errgroup.Group
	for cpu, e := range []struct {
		ns    *lab.NS
		iface string
	}{{r.lab.Router, "front"}, {r.lab.Switch, "lb"}} { // the far ends of eth0 and eth1
		index, err := e.ns.Index(e.iface)
		if err != nil {
			t.Fatal(err)
		}
		g.Go(func() error {
			return e.ns.Do(func() error { return onCPU(cpu, func() error { return r.storm.Race(index, packets) }) })
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	f, err := r.storm.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// onCPU does something on one CPU, and lets its thread go back to all.
func onCPU(cpu int, do func() error) error {
	var one, all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("this test needs two CPUs: go to CPU %d: %w", cpu, err)
	}
	return errors.Join(do(), unix.SchedSetaffinity(0, &all))
}
