package control

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/loader/nexthop"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// What a daemon finds in the kernel it keeps while it asks who is there, on the same way, and until it has heard something.
func TestAHopThatIsFoundIsKeptWhileItsNeighbourIsAskedFor(t *testing.T) {
	c := newUnattached(t, manyServices(1, 1))
	resolve(t, c)
	id := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	addr := c.image.Backends[id].Addrs[kernel.IPv4]
	asking := nexthop.Hop{State: nexthop.Unresolved, Asking: true, Below: 1}
	found := nexthop.Hop{State: nexthop.Resolved, Below: 1, DstMAC: [6]byte{2}}
	for _, row := range []struct {
		name string
		says []nexthop.Hop
		want bool
	}{
		{"it is asked for", []nexthop.Hop{asking}, true},
		{"on another way", []nexthop.Hop{{State: nexthop.Unresolved, Asking: true, Below: 2}}, false},
		{"nobody is there", []nexthop.Hop{asking, {State: nexthop.Unresolved, Silent: true, Below: 1}}, false},
		{"it was heard of, and then another is asked for", []nexthop.Hop{found, asking}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{IfIndex: 1})
			h := hopsOf(c, addr, id)
			h.inherit()
			for _, hop := range row.says {
				h.known = func(netip.Addr) (nexthop.Hop, bool) { return hop, true }
				h.write(addr)
			}
			if _, resolved := c.plane.Tables.Hop(kernel.IPv4, id); resolved != row.want {
				t.Errorf("the hop is resolved: %v, want %v", resolved, row.want)
			}
		})
	}
}

// A reload writes again what is known of an address, and at the same moment the watcher finds something newer, which it says
// once. What was known before must not be what stays.
func TestAHopThatIsFoundDuringAReloadIsTheOneThatStays(t *testing.T) {
	c := newUnattached(t, manyServices(1, 1))
	id := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	addr := c.image.Backends[id].Addrs[kernel.IPv4]
	c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{})
	h := hopsOf(c, addr, id)
	now := nexthop.Hop{State: nexthop.Failed, Reason: "the route leaves by another interface"}
	heard := make(chan struct{})
	h.known = func(of netip.Addr) (nexthop.Hop, bool) {
		was := now
		if of != addr || was.State == nexthop.Resolved {
			return was, of == addr
		}
		now = nexthop.Hop{State: nexthop.Resolved, Below: 1, DstMAC: [6]byte{2}}
		go func() { h.hear(addr); close(heard) }()
		if h.mu.TryLock() { // whoever is told now gets by
			h.mu.Unlock()
			<-heard
		}
		return was, true
	}
	h.want(c.image, nil)
	<-heard
	if _, resolved := c.plane.Tables.Hop(kernel.IPv4, id); !resolved {
		t.Error("the next hop that was found is written over by the one that was known before")
	}
}

// hopsOf follows one address of one backend, with a watcher that says nothing.
func hopsOf(c *Controller, addr netip.Addr, id uint16) *hops {
	return &hops{
		plane: c.plane, log: c.log, watcher: c.hops.watcher, changed: func(uint16) {},
		users: map[netip.Addr][]user{addr: {{family: kernel.IPv4, id: id, mode: kernel.DSR, service: 1}}},
	}
}
