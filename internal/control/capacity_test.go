package control

import (
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// A table whose slots are taken by flows that make room for no other has none for the pins that a flip needs. Flows that
// can be replaced are in nobody's way, and a rollback is never asked.
func TestAFlipIsRefusedWhileATableIsFullOfFlowsThatNothingReplaces(t *testing.T) {
	c := newUnattached(t, manyServices(1, 1))
	for id := range c.image.Backends {
		c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{IfIndex: 1})
	}
	most := uint64(c.plane.MaxFlows())
	edge := uint32((most*fullTable + 99) / 100)
	taken := func(established, young uint32) {
		var has kernel.States
		has[kernel.Established], has[kernel.Young] = established, young
		c.last.Sessions = map[uint16]kernel.States{c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]: has}
		c.last.Tables[kernel.IPv4].Used = uint64(established + young)
	}
	flip := func(force bool) error {
		res, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: force})
		if err == nil && !res.Changed {
			t.Errorf("nothing was flipped: %+v", res)
		}
		return err
	}
	rollback := func() {
		t.Helper()
		res, err := c.Rollback(t.Context(), api.RollbackRequest{Service: "s0"})
		if must(t, err); !res.Changed {
			t.Errorf("nothing was rolled back: %+v", res)
		}
	}
	taken(edge, 0)
	const full = "service s0: table ipv4: 3687 of max_flows 4096 are used, 3687 of them by flows that nothing replaces; 90% of these would be too many; see ebbtide verify, or give --force"
	mustRefuse(t, flip(false), api.Refused, full)
	c.state = stateOf(c.image, c.state)
	s := c.state.Services["s0"]
	s.Group = "shard"
	c.state.Services["s0"] = s
	_, err := c.FlipGroup(t.Context(), api.GroupFlipRequest{Group: "shard"})
	mustRefuse(t, err, api.Refused, full)
	_, err = c.releaseFlip(t.Context(), api.Act{}, release.Record{Service: "s0", State: release.Flipping, To: release.Generation{Number: 2}}, true)
	mustRefuse(t, err, api.Refused, full)
	must(t, flip(true))
	rollback()
	taken(edge-1, 10)
	must(t, flip(false))
	taken(edge, 0)
	rollback()
}
