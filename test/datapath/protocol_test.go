package datapath

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// Two CPUs insert, hit, expire and replace in the same lines at once, while entries age and the sweeper walks.
func TestTwoCPUsInTheSameLines(t *testing.T) {
	for _, fam := range maps.Families() {
		for _, spare := range []int{1, 3} {
			t.Run(familyName(fam), func(t *testing.T) {
				d := mustDuel(t, tiny, fam, spare)
				var stop atomic.Bool
				var beside sync.WaitGroup
				beside.Go(func() { d.disturb(&stop) })
				met := func() bool { return d.counters(t)["event_cas_lost"] > 0 }
				for seed := uint64(0); seed < 20 || seed < 400 && !met(); seed++ {
					d.fight(1000, seed)
					if foul := d.judge(); foul != "" {
						t.Errorf("seed %d: %s", seed, foul)
						break
					}
				}
				stop.Store(true)
				beside.Wait()
				d.judgeSums()
				if !met() {
					t.Error("no compare-and-swap was lost: the CPUs never met, so this has not tested")
				}
			})
		}
	}
}

// Each rule of the protocol carries weight: without it the same fight goes foul, with it and the same stalls it stays
// fair.
func TestWithoutARuleOfTheProtocolAFightGoesFoul(t *testing.T) {
	const publish = bpftest.ProgramRuleSTALL_PUBLISH
	for _, c := range []struct {
		name  string
		rule  bpftest.ProgramRule
		stall bpftest.ProgramRule
		loops uint32
		fam   maps.Family
		spare int
	}{
		{"a miss takes the stripe, IPv4", bpftest.ProgramRuleRULE_LOCK, publish, 5000, maps.IPv4, 4},
		{"a miss takes the stripe, IPv6", bpftest.ProgramRuleRULE_LOCK, publish, 5000, maps.IPv6, 4},
		{"seen is changed by compare-and-swap, IPv4", bpftest.ProgramRuleRULE_CAS_SEEN, 0, 0, maps.IPv4, 1},
		{"seen is changed by compare-and-swap, IPv6", bpftest.ProgramRuleRULE_CAS_SEEN, 0, 0, maps.IPv6, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			build := options{flows: 1, testBuild: true, leaveOut: c.stall, stall: c.loops}
			if foul := mustDuel(t, build, c.fam, c.spare).until(500 * time.Millisecond); foul != "" {
				t.Errorf("with every rule: %s", foul)
			}
			build.leaveOut |= c.rule
			begin := time.Now()
			foul := mustDuel(t, build, c.fam, c.spare).until(time.Minute)
			if foul == "" {
				t.Error("without it nothing went wrong")
			}
			t.Logf("without it, after %v: %s", time.Since(begin), foul)
		})
	}
}
