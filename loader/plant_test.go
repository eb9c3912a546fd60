package loader

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/maps"
)

// mustPlant pins n flows of each family by packets through the program, and returns the pins.
func mustPlant(t *testing.T, p *Plane, n int) []string {
	t.Helper()
	mustServe(t, p)
	for i := range n {
		mustRun(t, p, syn4(uint16(1024+i)))
		mustRun(t, p, syn6(uint16(1024+i)))
	}
	got := pins(p)
	if len(got) != 2*n {
		t.Fatalf("%d pins, want %d", len(got), 2*n)
	}
	return got
}

var (
	testMAC = [6]byte{2, 0, 0, 0, 0, 1}
	vip4    = netip.MustParseAddr("203.0.113.10")
	vip6    = netip.MustParseAddr("2001:db8::10")
)

// mustServe sets up one service on port 80 of both VIPs with two backends.
func mustServe(t *testing.T, p *Plane) {
	t.Helper()
	tab := p.Tables
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tab.PutService(1, maps.Service{Name: "world", ReuseAfter: 300, Timeouts: maps.Timeouts{3600, 3600, 3600, 3600, 3600}})
	tab.PutGeneration(1, maps.Generation{Number: 1, Service: 1, State: maps.Live, Version: "1.9"})
	for id := uint16(1); id <= 2; id++ {
		for f, addr := range map[maps.Family]string{maps.IPv4: "10.0.0.1", maps.IPv6: "fd00::1"} {
			tab.PutBackend(f, id, maps.Backend{
				Addr: netip.MustParseAddr(addr), Generation: 1, Service: 1, Weight: 1, Use: maps.InPool,
			})
			tab.SetHop(f, id, maps.Hop{IfIndex: 1, DstMAC: testMAC, SrcMAC: testMAC})
		}
	}
	for _, f := range maps.Families() {
		must(tab.PutMaglev(1, f, []uint16{1, 2, 1, 2, 1}))
	}
	tab.SetSteer(1, maps.Steer{Live: 1})
	for id, vip := range []netip.Addr{vip4, vip6} {
		must(tab.PutVIP(uint16(id+1), maps.VIP{Addr: vip, Protocol: maps.ProtocolTCP, Listener: 1}))
		must(tab.PutListener(maps.Socket{Addr: vip, Port: 80, Protocol: maps.ProtocolTCP}, maps.Listener{VIP: uint16(id + 1), Service: 1, ID: 1}))
	}
	tab.SetFilter([]netip.Addr{vip4, vip6})
	must(tab.SetIface(1, maps.Iface{MAC: testMAC}))
}

func mustRun(t *testing.T, p *Plane, frame []byte) {
	t.Helper()
	const xdpTX = 3
	got, err := p.program.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 256)})
	if err != nil || got != xdpTX {
		t.Fatalf("verdict %d, %v", got, err)
	}
}

func ethernet(proto uint16) []byte {
	return binary.BigEndian.AppendUint16(append(append([]byte{}, testMAC[:]...), 2, 0, 0, 0, 0, 9), proto)
}

func tcpSYN(b []byte, port uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, 80)
	return append(b, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 2, 255, 255, 0, 0, 0, 0)
}

func syn4(port uint16) []byte {
	b := append(ethernet(0x0800), 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 198, 51, 100, 7)
	return tcpSYN(append(b, vip4.AsSlice()...), port)
}

func syn6(port uint16) []byte {
	client := netip.MustParseAddr("2001:db8:1::7")
	b := append(ethernet(0x86dd), 0x60, 0, 0, 0, 0, 20, 6, 64)
	return tcpSYN(append(append(b, client.AsSlice()...), vip6.AsSlice()...), port)
}
