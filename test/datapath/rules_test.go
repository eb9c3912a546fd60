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
	name string
	rule bpftest.ProgramRule
	test func(w *world) string
}

var promises = []promise{
	{"an expired entry is revived in its own slot", bpftest.ProgramRuleRULE_OWN_SLOT, oneEntryAFlow},
	{"a hit needs the VIP id to agree", bpftest.ProgramRuleRULE_VIP, vipsApart},
	{"flows are pinned", bpftest.ProgramRuleRULE_PIN, pinnedAcrossAFlip},
	{"orphans go to the previous generation", bpftest.ProgramRuleRULE_ORPHAN, orphansGoBack},
}

// The promises hold, in the test build as well, and each falls with its rule.
func TestWithoutARuleItsPromiseIsBroken(t *testing.T) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			for _, o := range []options{{flows: 1000}, {flows: 1000, testBuild: true}} {
				if wrong := p.test(mustWorld(t, o, 3)); wrong != "" {
					t.Errorf("with every rule (test build %v): %s", o.testBuild, wrong)
				}
			}
			wrong := p.test(mustWorld(t, options{flows: 1000, testBuild: true, leaveOut: p.rule}, 3))
			if wrong == "" {
				t.Error("without it nothing went wrong")
			}
			t.Log("without it:", wrong)
		})
	}
}

func oneEntryAFlow(w *world) string {
	f := gamePacket(maps.IPv4, 0)
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

func vipsApart(w *world) string {
	f := gamePacket(maps.IPv4, syn)
	other := f
	other.to = netip.AddrPortFrom(otherVIP[maps.IPv4], gamePort)
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

func pinnedAcrossAFlip(w *world) string {
	f := gamePacket(maps.IPv4, 0)
	w.to(f.flagged(syn))
	w.to(f.flagged(ack))
	w.SetSteer(game, maps.Steer{Live: green})
	if got := w.colourOf(f.flagged(ack)); got != blue {
		return fmt.Sprintf("a flow of blue goes to generation %d after the flip", got)
	}
	return ""
}

func orphansGoBack(w *world) string {
	w.flip(green)
	if got := w.colourOf(gamePacket(maps.IPv4, ack)); got != blue {
		return fmt.Sprintf("an orphan went to generation %d", got)
	}
	return ""
}
