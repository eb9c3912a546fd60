package control

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/loader/nexthop"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// losing is a controller of one service that moves the sessions of a lost backend, and the two backends of what is live: the
// first one is there, and nobody is at the second one.
func losing(t *testing.T) (c *Controller, there, silent uint16) {
	t.Helper()
	c = newUnattached(t, strings.Replace(manyServices(1, 2), "    pools:", "    on_backend_loss: move\n    pools:", 1))
	ids := c.image.BackendsOf(c.image.Services[1].Steer.Live)
	slices.Sort(ids)
	there, silent = ids[0], ids[1]
	at := map[netip.Addr]nexthop.Hop{
		c.image.Backends[there].Addrs[kernel.IPv4]:  {State: nexthop.Resolved, Below: 1, DstMAC: [6]byte{2}},
		c.image.Backends[silent].Addrs[kernel.IPv4]: {State: nexthop.Unresolved, Silent: true, Below: 1},
	}
	c.hops.known = func(a netip.Addr) (nexthop.Hop, bool) {
		hop, known := at[a]
		return hop, known
	}
	return c, there, silent
}

func (c *Controller) mustBeLost(t *testing.T, id uint16, want bool, when string) {
	t.Helper()
	if is := c.image.Backends[id].Lost[kernel.IPv4]; is != want {
		t.Errorf("%s: it is lost: %v, want %v", when, is, want)
	}
	if is := c.plane.Tables.Lost(kernel.IPv4, id); is != want {
		t.Errorf("%s: the program holds it for lost: %v, want %v", when, is, want)
	}
}

// Nobody is lost while there is nobody to move to. Once there is, no next hop says so: that it takes sessions does.
func TestALostBackendsSessionsMoveOnceAnotherTakesThemAgain(t *testing.T) {
	c, there, silent := losing(t)
	c.setSick(there, "refused")
	must(t, c.rest(1))
	if c.image.Backends[there].Use != kernel.Resting {
		t.Fatal("a sick backend does not rest")
	}
	c.looks.at(1)
	must(t, c.losses())
	c.mustBeLost(t, silent, false, "with nobody to move to")
	c.setSick(there, "")
	must(t, c.rest(1))
	must(t, c.losses())
	c.mustBeLost(t, silent, true, "with somebody to move to")
}

// A way that is found and gone again before anybody looks takes the program's mark away: nothing has changed then, but for that.
func TestABackendThatWasSeenForAMomentIsStillLost(t *testing.T) {
	c, _, silent := losing(t)
	c.looks.at(1)
	must(t, c.losses())
	c.mustBeLost(t, silent, true, "with nobody there")
	c.plane.Tables.SetHop(kernel.IPv4, silent, kernel.Hop{IfIndex: 1, DstMAC: [6]byte{2}})
	c.plane.Tables.SetHop(kernel.IPv4, silent, kernel.Hop{})
	c.looks.at(1)
	must(t, c.losses())
	c.mustBeLost(t, silent, true, "after somebody was there for a moment")
}

// A look that comes to nothing is taken again: no next hop changes for it.
func TestALossThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	c, _, silent := losing(t)
	c.looks.at(1)
	bad := c.failing("write")
	if err := c.losses(); !errors.Is(err, bad) {
		t.Fatalf("got %v", err)
	}
	c.mustBeLost(t, silent, false, "when nothing could be written")
	<-c.looks.some // what the first one left
	must(t, c.losses())
	c.mustBeLost(t, silent, true, "later")
}
