package e2e

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/test/lab"
)

// jumbo is an MTU whose frames lie in several buffers.
const jumbo = 9000

// Links with jumbo frames: the program attaches to them, and they go both ways whole.
func TestJumboFramesOnTheWire(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, noWorld: true, before: jumboLinks,
			})
			s.serveWith(t, takesBulk)
			for _, e := range s.endpoints {
				before := s.reasons(t)
				packets, bytes := s.sentTo(t, 1)
				s.transfer(t, e.Addr, bulk, 1)
				morePackets, moreBytes := s.sentTo(t, 1)
				if each := (moreBytes - bytes) / (morePackets - packets); each < 4096 {
					t.Errorf("%v: packets of %d bytes each: no jumbo frames, so this has not tested", e.Addr, each)
				}
				for name, n := range s.reasons(t) {
					if n != before[name] && name[:4] == "drop" {
						t.Errorf("%v: %s went from %d to %d", e.Addr, name, before[name], n)
					}
				}
			}
		})
	}
}

// jumboLinks gives every link of a lab a large MTU; a bridge takes the least of its ports.
func jumboLinks(l *lab.Lab) error {
	spaces := []*lab.NS{l.Client, l.Router, l.LB, l.Switch}
	for _, b := range l.Backends {
		spaces = append(spaces, b.NS)
	}
	for _, ns := range spaces {
		links, err := ns.Netlink().LinkList()
		if err != nil {
			return fmt.Errorf("list links in %s: %w", ns.Name, err)
		}
		for _, link := range links {
			if _, veth := link.(*netlink.Veth); !veth {
				continue
			}
			if err := ns.Netlink().LinkSetMTU(link, jumbo); err != nil {
				return fmt.Errorf("mtu of %s in %s: %w", link.Attrs().Name, ns.Name, err)
			}
		}
	}
	return nil
}

// sentTo is what a generation was sent, by its index.
func (s *stage) sentTo(t *testing.T, index uint16) (packets, bytes uint64) {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	counts, err := p.Tables.Counts()
	if err != nil {
		t.Fatal(err)
	}
	_, sent := counts.Generation(index)
	return sent.Packets, sent.Bytes
}
