package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// promise is something that a rule is there for: it returns what went wrong.
type promise struct {
	name     string
	rule     bpftest.ProgramRule
	families []maps.Family
	test     func(w *world, fam maps.Family) string
}

var both = []maps.Family{maps.IPv4, maps.IPv6}

var promises = []promise{
	{"an expired entry is revived in its own slot", bpftest.ProgramRuleRULE_OWN_SLOT, both, oneEntryAFlow},
	{"a hit needs the VIP id to agree", bpftest.ProgramRuleRULE_VIP, []maps.Family{maps.IPv4}, vipsApart}, // in IPv6 it is in the key
	{"flows are pinned", bpftest.ProgramRuleRULE_PIN, both, pinnedAcrossAFlip},
	{"orphans go to the previous generation", bpftest.ProgramRuleRULE_ORPHAN, both, orphansGoBack},
}

// The promises hold, in the test build as well, and each falls with its rule.
func TestWithoutARuleItsPromiseIsBroken(t *testing.T) {
	for _, p := range promises {
		for _, fam := range p.families {
			t.Run(familyName(fam)+" "+p.name, func(t *testing.T) {
				for _, o := range []options{{flows: 1000}, {flows: 1000, testBuild: true}} {
					if wrong := p.test(mustWorld(t, o, 3), fam); wrong != "" {
						t.Errorf("with every rule (test build %v): %s", o.testBuild, wrong)
					}
				}
				wrong := p.test(mustWorld(t, options{flows: 1000, testBuild: true, leaveOut: p.rule}, 3), fam)
				if wrong == "" {
					t.Error("without it nothing went wrong")
				}
				t.Log("without it:", wrong)
			})
		}
	}
}

func oneEntryAFlow(w *world, fam maps.Family) string {
	f := gamePacket(fam, 0)
	for range 3 {
		w.to(f.flagged(syn))
		w.age(standard[maps.TCPHalfOpen] + 1)
	}
	n := 0
	for range w.Flows() {
		n++
	}
	if n != 1 {
		return fmt.Sprintf("one flow has %d entries", n)
	}
	return ""
}

func vipsApart(w *world, fam maps.Family) string {
	f := gamePacket(fam, syn)
	other := f
	other.to = netip.AddrPortFrom(otherVIP[fam], gamePort)
	// The bucket hash knows the VIP too: among many flows some meet in a line all the same.
	for port := range uint16(200) {
		w.to(f.at(port))
	}
	w.flip(green)
	for port := range uint16(200) {
		if got := w.colourOf(other.at(port)); got != green {
			return fmt.Sprintf("a new session of another VIP went to generation %d", got)
		}
	}
	return ""
}

func pinnedAcrossAFlip(w *world, fam maps.Family) string {
	f := gamePacket(fam, 0)
	w.to(f.flagged(syn))
	w.to(f.flagged(ack))
	w.SetSteer(game, maps.Steer{Live: green})
	if got := w.colourOf(f.flagged(ack)); got != blue {
		return fmt.Sprintf("a flow of blue goes to generation %d after the flip", got)
	}
	return ""
}

func orphansGoBack(w *world, fam maps.Family) string {
	w.flip(green)
	if got := w.colourOf(gamePacket(fam, ack)); got != blue {
		return fmt.Sprintf("an orphan went to generation %d", got)
	}
	return ""
}
