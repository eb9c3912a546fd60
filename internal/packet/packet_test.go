package packet_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/packet"
)

const (
	macs  = "020000000001 0200000000aa"
	ipv4  = "45000028000000004006 0000 c6336407 cb00710a"
	ports = "9c41 1e61"
	v6    = "20010db8000c00000000000000000007 20010db8000000000000000000000010"
)

func TestParse(t *testing.T) {
	for _, row := range []struct{ name, frame, want string }{
		{"TCP", macs + "0800" + ipv4 + ports, "tcp 198.51.100.7:40001 203.0.113.10:7777"},
		{"two tags", macs + "88a80001 81000002 0800" + ipv4 + ports, "tcp 198.51.100.7:40001 203.0.113.10:7777"},
		{"three tags", macs + "88a80001 81000002 81000003 0800" + ipv4 + ports, "none"},
		{"options", macs + "0800" + strings.Replace(ipv4, "45", "46", 1) + "94040000" + ports, "tcp 198.51.100.7:40001 203.0.113.10:7777"},
		{"a later fragment", macs + "0800" + "4500002800000001 4011 0000 c6336407 cb00710a" + ports, "udp fragment 198.51.100.7:0 203.0.113.10:0"},
		{"the first fragment", macs + "0800" + "4500002800002000 4011 0000 c6336407 cb00710a" + ports, "udp 198.51.100.7:40001 203.0.113.10:7777"},
		{"cut off before the ports", macs + "0800" + ipv4 + "9c41", "tcp 198.51.100.7:0 203.0.113.10:0"},
		{"cut off before the addresses", macs + "0800 4500", "none"},
		{"ARP", macs + "0806 0001", "none"},
		{"nothing", "", "none"},
		{"IPv6", macs + "86dd 60000000 0008 11 40" + v6 + ports, "udp [2001:db8:c::7]:40001 [2001:db8::10]:7777"},
		{"extension headers", macs + "86dd 60000000 0008 00 40" + v6 + "3c000000 00000000 06000000 00000000" + ports, "tcp [2001:db8:c::7]:40001 [2001:db8::10]:7777"},
		{"a later fragment in IPv6", macs + "86dd 60000000 0008 2c 40" + v6 + "11000008 00000001" + ports, "udp fragment [2001:db8:c::7]:0 [2001:db8::10]:0"},
		{"an atomic fragment", macs + "86dd 60000000 0008 2c 40" + v6 + "11000000 00000001" + ports, "udp [2001:db8:c::7]:40001 [2001:db8::10]:7777"},
		{"a protocol without a name here", macs + "86dd 60000000 0008 84 40" + v6, "132 [2001:db8:c::7]:0 [2001:db8::10]:0"},
	} {
		frame, err := hex.DecodeString(strings.ReplaceAll(row.frame, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got := "none"
		if p, ok := packet.Parse(frame); ok {
			got = p.Name() + " " + p.From.String() + " " + p.To.String()
		}
		if got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{macs + "0800" + ipv4 + ports, macs + "86dd 60000000 0008 2c 40" + v6 + "00000008 00000001"} {
		frame, _ := hex.DecodeString(strings.ReplaceAll(seed, " ", ""))
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if p, ok := packet.Parse(frame); ok != p.From.IsValid() {
			t.Errorf("%x: %v, from %v", frame, ok, p.From)
		}
	})
}
