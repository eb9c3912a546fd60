package attach

import (
	"net"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// A frame for another MAC than the interface's was flooded, so the program has to know the interface's own.
func TestTheInterfacesOwnMACMayChangeUnderPlayers(t *testing.T) {
	t.Parallel()
	for _, set := range []lab.Options{
		{Forwarding: lab.DSR, Arms: lab.OneArm}, {Forwarding: lab.NAT, Arms: lab.TwoArms},
	} {
		t.Run(set.Forwarding.String()+" "+set.Arms.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{lab: set, networks: []string{"tcp"}}) // a UDP player would not send again
			s.host.AwaitHops(t)
			s.play(t, 4)
			for i, name := range s.lab.Interfaces() {
				mac := net.HardwareAddr{0x02, 0, 0x5e, 0, 0x54, byte(i)}
				if err := s.lab.LB.SetMAC(name, mac); err != nil {
					t.Fatal(err)
				}
				s.awaitMAC(t, name, mac)
			}
			if err := s.lab.ForgetNeighbours(); err != nil {
				t.Fatal(err)
			}
			s.host.AwaitHops(t)
			s.fleet.Exchange(2)
			s.flip(t)
			s.play(t, 4)
			s.mustBeWhole(t, 4, 4)
		})
	}
}

// awaitMAC waits until the program knows the MAC of an interface.
func (s *stage) awaitMAC(t *testing.T, name string, mac net.HardwareAddr) {
	t.Helper()
	index, err := s.lab.LB.Index(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.host.Plane() // beside the daemon
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	lab.Eventually(t, "the program to know the new MAC of "+name, func() bool {
		return p.Tables.Ifaces()[uint32(index)].MAC == [6]byte(mac)
	})
}

func TestAfterALinkWasDownTheIPv6VIPsAreBackAndPlayersGoOn(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}})
	s.host.AwaitHops(t)
	s.play(t, 4)
	own := s.lab.LBAddresses()[1]
	dev, err := s.lab.LB.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.lab.LB.Netlink().LinkSetDown(dev); err != nil {
		t.Fatal(err)
	}
	if at := s.holders(t)[lab.VIP6.String()]; len(at) != 0 {
		t.Fatalf("the kernel left %s on %q: this test sees nothing", lab.VIP6, at)
	}
	if err := s.lab.LB.Netlink().LinkSetUp(dev); err != nil {
		t.Fatal(err)
	}
	// The host's own address is not ours to put back.
	if err := s.lab.LB.AddAddress("eth0", netip.PrefixFrom(own, 64)); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, "the VIP to be back", func() bool { return len(s.holders(t)[lab.VIP6.String()]) == 1 })
	s.mustHold(t, "eth0")
	s.host.AwaitHops(t)
	s.fleet.Exchange(2)
	s.flip(t)
	s.play(t, 4)
	s.mustBeWhole(t, 4, 4)
}
