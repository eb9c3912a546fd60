package control

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/probe"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// An answer counts only when the kernel has a pin to the backend that was meant: somebody else may have given it.
func TestAnAnswerWithoutAPinIsNone(t *testing.T) {
	c := newUnattached(t, strings.Replace(manyServices(1, 2), "    pools:", "    release: {probes: [{tcp: 7777}]}\n    pools:", 1))
	for id := range c.image.Backends {
		c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{IfIndex: 1})
	}
	info := probe.Info{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}
	must(t, c.setProbeTesters(1, info.Addresses, true))
	list, err := c.questions("s0", info)
	must(t, err)
	answered := 0
	for _, a := range list {
		for _, b := range a.of {
			b.answer.Saw = "connected"
			answered++
		}
	}
	if answered == 0 {
		t.Fatalf("nobody is asked: %+v", list)
	}
	must(t, c.findPins(list))
	for _, a := range list {
		for _, b := range a.of {
			if want := fmt.Sprintf("connected, but the kernel has no pin of %s to it", b.question.From); b.failed != want {
				t.Errorf("%s: %q, want %q", b.name, b.failed, want)
			}
		}
		if check := a.check(); check.OK {
			t.Errorf("%+v", check)
		}
	}
}
