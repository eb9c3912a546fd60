package bundle

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAMaskTakesOutEveryAddressButThoseThatAreKept(t *testing.T) {
	m := NewMask([]netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")})
	for text, want := range map[string]string{
		"vip 203.0.113.10:7777 and [2001:db8::10]:7777":   "vip 203.0.113.10:7777 and [2001:db8::10]:7777",
		"127.0.0.1:9595 ::1 0.0.0.0 ::":                   "127.0.0.1:9595 ::1 0.0.0.0 ::",
		"12:30:01 02:00:00:00:00:11 1.9 1.2.3 a::b":       "12:30:01 02:00:00:00:00:11 1.9 1.2.3 M",
		"client 198.51.100.7":                             "client M",
		`{"client":"198.51.100.7:40000"}`:                 `{"client":"M:40000"}`,
		"testers [198.51.100.0/24, 2001:db8:7::/48]":      "testers [M/24, M/48]",
		"[2001:db8::7]:443, 2001:DB8:0:0:0:0:0:8 left":    "[M]:443, M left",
		"::ffff:198.51.100.7: unreachable":                "M: unreachable",
		"fe80::1%eth0":                                    "M%eth0",
		"dial tcp 198.51.100.7:53->10.9.9.9:1: timed out": "dial tcp M:53->M:1: timed out",
		"203.0.113.100 is not 203.0.113.10":               "M is not 203.0.113.10",
	} {
		got := maskedAlike(m.Text(text))
		if got != want {
			t.Errorf("%q is masked as %q, want %q", text, got, want)
		}
	}
}

// maskedAlike gives all masked addresses one name.
func maskedAlike(text string) string {
	for {
		at := strings.Index(text, "address-")
		if at < 0 {
			return text
		}
		text = text[:at] + "M" + text[at+len("address-")+10:]
	}
}

func TestAnAddressHasOneNameInABundleAndAnotherInTheNext(t *testing.T) {
	a, b := NewMask(nil), NewMask(nil)
	const text = "198.51.100.7"
	if first := a.Text(text); first != a.Text(text) || first != a.Text("::ffff:"+text) {
		t.Error("one address has two names")
	}
	if a.Text(text) == b.Text(text) || a.Text(text) == a.Text("198.51.100.8") {
		t.Error("two addresses or two bundles have one name")
	}
}

func FuzzNoAddressPassesAMask(f *testing.F) {
	for _, s := range []string{"198.51.100.7", "2001:db8::7", "x:198.51.100.7:1", "1::2:3::4", "::1.2.3.4"} {
		f.Add(s)
	}
	m := NewMask(nil)
	f.Fuzz(func(t *testing.T, text string) {
		for _, word := range strings.Fields(m.Text(text)) {
			if addr, err := netip.ParseAddr(word); err == nil && !addr.Unmap().IsLoopback() && !addr.Unmap().IsUnspecified() && addr.Zone() == "" {
				t.Errorf("%q passes as %q", addr, text)
			}
		}
	})
}
