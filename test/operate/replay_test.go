package operate

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

// untouched are the maps that are compared: all that a packet could change, but for the counts of what comes and goes in the
// lab by itself.
var untouched = []string{
	"flows4", "flows6", "cold4", "cold6", "services", "generations", "generation_counters", "fragments", "listeners4", "testers4",
}

// mustRead gives a digest of each map in the kernel.
func (s *stage) mustRead(t *testing.T) map[string]string {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out := map[string]string{}
	for _, name := range untouched {
		h := sha256.New()
		var key, value []byte
		var each [][]byte // per CPU
		into := any(&value)
		if name == "generation_counters" {
			into = &each
		}
		it := p.Tables.Map(name).Iterate()
		for it.Next(&key, into) {
			h.Write(slices.Concat(append(each, key, value)...))
		}
		if err := it.Err(); err != nil {
			t.Fatalf("read map %s: %v", name, err)
		}
		out[name] = fmt.Sprintf("%x", h.Sum(nil))
	}
	out["backends4"] = fmt.Sprint(p.Tables.Backends(maps.IPv4))
	return out
}

// capture writes a pcap file of frames.
func capture(t *testing.T, frames ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.WritePacket(gopacket.CaptureInfo{Length: len(f), CaptureLength: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// frameTo builds a frame for an interface of the load balancer.
func frameTo(t *testing.T, mac net.HardwareAddr, from, to netip.AddrPort, transport gopacket.SerializableLayer, payload int) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(), Flags: layers.IPv4DontFragment}
	switch l := transport.(type) {
	case *layers.TCP:
		ip.Protocol, l.SrcPort, l.DstPort = layers.IPProtocolTCP, layers.TCPPort(from.Port()), layers.TCPPort(to.Port())
	case *layers.UDP:
		ip.Protocol, l.SrcPort, l.DstPort = layers.IPProtocolUDP, layers.UDPPort(from.Port()), layers.UDPPort(to.Port())
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xaa}, DstMAC: mac, EthernetType: layers.EthernetTypeIPv4},
		ip, transport, gopacket.Payload(make([]byte, payload)))
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The packets of a capture go through the same program as those on the wire, each after what those before it did; and nothing
// in the live maps changes.
func TestACaptureIsExplainedOnCopiesOfTheMaps(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{timeouts: calm})
	s.configure(t, strings.Replace(s.yaml(), "max_flows: 65536", "max_flows: 1024", 1)) // maps that are read soon
	s.mustRun(t)
	v4 := s.clients(t, 3)
	session := s.mustSay(t, "blue", 2, v4[0])[0].Report()
	vip := netip.AddrPortFrom(lab.VIP4, port)
	guest := netip.AddrPortFrom(v4[1], 40000)
	mac := s.mac(t)
	frames := [][]byte{
		frameTo(t, mac, session.Client, vip, &layers.TCP{ACK: true}, 10),
		frameTo(t, mac, guest, vip, &layers.TCP{SYN: true, Seq: 7}, 0),
		frameTo(t, mac, guest, vip, &layers.TCP{ACK: true, Seq: 8}, 0),
		frameTo(t, mac, guest, vip, &layers.UDP{}, 1600),
		frameTo(t, mac, netip.MustParseAddrPort("127.0.0.1:40000"), vip, &layers.UDP{}, 20),
		frameTo(t, mac, guest, netip.AddrPortFrom(lab.VIP4, 9), &layers.UDP{}, 20),
		frameTo(t, net.HardwareAddr{2, 9, 9, 9, 9, 9}, guest, vip, &layers.UDP{}, 20),
		append(append(slices.Clone(mac), 2, 0, 0, 0, 0, 0xaa, 8, 6), make([]byte, 46)...),
	}
	file := capture(t, frames...)
	before := s.mustRead(t)
	for flag, colour := range map[string]string{"--if-flipped=false": "blue", "--if-flipped": "green"} {
		var got api.Replay
		decode(t, s.do(t, "explain", "--pcap", file, "-o", "json", flag), func(r api.Replay) { got = r })
		if len(got.Tag) != 16 || len(got.Packets) != len(frames) {
			t.Fatalf("%s: %+v", flag, got)
		}
		for i, want := range []struct{ verdict, colour, reason string }{
			{api.VerdictForward, "blue", ""}, {api.VerdictForward, colour, ""}, {api.VerdictForward, colour, ""},
			{api.VerdictAnswer, "", "event_too_big"}, {api.VerdictDrop, "", "drop_martian"}, {api.VerdictPass, "", "pass_not_ours"},
			{api.VerdictPass, "", "pass_other_mac"}, {api.VerdictPass, "", "pass_not_ip"},
		} {
			p, is := got.Packets[i], ""
			if p.Generation != nil {
				is = p.Generation.Colour
			}
			whole := p.In == len(frames[i]) && (p.Out == p.In) == (want.verdict == api.VerdictForward)
			if p.Verdict != want.verdict || is != want.colour || want.reason != "" && !slices.Contains(p.Reasons, want.reason) || !whole {
				t.Errorf("%s: packet %d: %+v, want %+v", flag, i+1, p, want)
			}
			if backend := s.lab.Backend(colour + "1").Own(lab.VIP4).String(); i == 1 && p.Backend != backend {
				t.Errorf("%s: a new flow on %s, want %s", flag, p.Backend, backend)
			}
		}
	}
	after := s.mustRead(t)
	for name := range before {
		if after[name] != before[name] {
			t.Errorf("map %s has changed", name)
		}
	}
	s.do(t, "explain", "--pcap", file+"x").mustBe(t, 1, "", "…no such file…")
	s.mustBeWhole(t)
}

// mac is that of the load balancer's interface.
func (s *stage) mac(t *testing.T) net.HardwareAddr {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, i := range p.Tables.Ifaces() {
		return i.MAC[:]
	}
	t.Fatal("the program is on no interface")
	return nil
}
