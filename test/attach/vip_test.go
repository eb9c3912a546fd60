package attach

import (
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

var none = file{top: "vip_addresses: none"}

func TestWithVIPAddressesNoneTheDaemonHoldsNoVIPAndSaysWhoDoes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		way  lab.VIPWay
		held string
	}{{lab.Routed, ""}, {lab.Held, "eth0"}} {
		t.Run(row.way.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{lab: lab.Options{VIPWay: row.way, Arms: lab.TwoArms}, file: none})
			s.host.AwaitHops(t)
			s.mustHold(t, row.held)
			s.mustPlayAFlip(t)
			s.fleet.Close()
			// What the operator put there stays, whatever becomes of ebbtide.
			if err := s.host.Client.Detach(t.Context(), api.DetachRequest{}); err != nil {
				t.Fatal(err)
			}
			if err := s.host.Wait(); err != nil {
				t.Fatal(err)
			}
			s.mustBeHeld(t, row.held)
		})
	}
}

func TestAReloadTakesTheVIPsAwayAndPutsThemBackUnderPlayers(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{lab: lab.Options{VIPWay: lab.Routed}})
	s.host.AwaitHops(t)
	s.mustHold(t, "eth0")
	s.play(t, 3)
	s.reload(t, none)
	s.mustHold(t, "")
	s.play(t, 3)
	s.reload(t, file{})
	s.mustHold(t, "eth0")
	s.fleet.Exchange(2)
	s.mustBeWhole(t, 6, 0)
}

func TestTheVIPsMoveWithTheFirstInterface(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{lab: lab.Options{VIPWay: lab.Routed, Arms: lab.TwoArms}})
	s.mustHold(t, "eth0")
	s.reload(t, file{interfaces: "[eth1, eth0]"})
	s.mustHold(t, "eth1")
	s.reload(t, file{})
	s.mustHold(t, "eth0")
}

// mustHold checks which interface holds the VIPs, by the kernel and by status; "" is none.
func (s *stage) mustHold(t *testing.T, name string) {
	t.Helper()
	s.mustBeHeld(t, name)
	vips := s.host.Status(t).VIPs
	if len(vips) != 2 {
		t.Errorf("status has the VIPs %+v, want both", vips)
	}
	for _, v := range vips {
		if v.Interface != name {
			t.Errorf("status says that %q holds %s, want %q", v.Interface, v.Address, name)
		}
	}
}

func (s *stage) mustBeHeld(t *testing.T, name string) {
	t.Helper()
	var want []string
	if name != "" {
		want = []string{name}
	}
	holders := s.holders(t)
	for _, vip := range []string{lab.VIP4.String(), lab.VIP6.String()} {
		if !slices.Equal(holders[vip], want) {
			t.Errorf("%s is on %q, want %q", vip, holders[vip], want)
		}
	}
}
