package nexthop

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func TestLostEventsAreMadeUpForByReadingEverythingAgain(t *testing.T) {
	lb, _ := mustPair(t)
	blocked, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var w *watched
	w = lb.watch(t, Options{
		Reconfirm:     time.Hour, // nothing but the events can tell
		ReceiveBuffer: 4096,
		Notify: func(addr netip.Addr, h Hop) {
			if h.State == Resolved {
				once.Do(func() { close(blocked); <-open })
			}
			w.notify(addr, h)
		},
	})
	w.Set(onLink(backend4))
	<-blocked
	permanent := netlink.Neigh{
		LinkIndex: lb.link(t, "eth0").Attrs().Index, IP: backend4.AsSlice(), State: netlink.NUD_PERMANENT,
	}
	for i := range byte(250) { // more than queue and buffer hold
		permanent.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 1, i}
		must(t, lb.NeighSet(&permanent))
	}
	close(open)
	w.awaitMAC(t, backend4, [6]byte(permanent.HardwareAddr))
	// Events come as before, and older ones that were still queued have not
	// brought back what was over.
	must(t, lb.LinkSetMTU(lb.link(t, "eth0"), 1400))
	h := w.await(t, backend4, "MTU", func(h Hop) bool { return h.MTU == 1400 })
	if h.DstMAC != [6]byte(permanent.HardwareAddr) {
		t.Errorf("told %v", h)
	}
	if w.resyncs.Load() == 0 {
		t.Error("no events were lost: the test has not tested")
	}
}
