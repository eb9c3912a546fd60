package api_test

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

func TestAClientIsAnAddressOrAPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "invalid Prefix",
		"198.51.100.7":       "198.51.100.7/32",
		"198.51.100.7/24":    "198.51.100.0/24",
		"2001:db8::7":        "2001:db8::7/128",
		"2001:db8:1::/32":    "2001:db8::/32",
		"198.51.100":         "",
		"198.51.100.7/33":    "",
		"198.51.100.7:40000": "",
		"fe80::1%eth0":       "",
		"player.example":     "",
	} {
		got, err := api.FlowFilter{Client: in}.ClientPrefix()
		if want == "" {
			mustCode(t, err, api.Usage)
		} else if err != nil || got.String() != want {
			t.Errorf("%q: got %v, %v, want %s", in, got, err, want)
		}
	}
}

func FuzzClientPrefix(f *testing.F) {
	for _, seed := range []string{"", "198.51.100.7", "198.51.100.0/24", "2001:db8::/32", "fe80::1%eth0", "::ffff:192.0.2.1/120"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := api.FlowFilter{Client: in}.ClientPrefix()
		if err != nil || in == "" {
			return
		}
		if got != got.Masked() {
			t.Errorf("%q: %s has bits behind its mask", in, got)
		}
		if addr, err := netip.ParseAddr(in); err == nil && !got.Contains(addr) {
			t.Errorf("%q: %s does not contain it", in, got)
		}
	})
}
