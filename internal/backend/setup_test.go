package backend

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
)

func TestAVIPIsHeldOnlyOnceNobodyHearsOfIt(t *testing.T) {
	for _, mode := range []config.Forwarding{config.DSR, config.IPIP} {
		steps, err := Setup(mode, []netip.Addr{netip.MustParseAddr("203.0.113.10")})
		if err != nil {
			t.Fatal(err)
		}
		quiet := 0
		for i, s := range steps {
			if strings.Contains(s.Command, "arp_") {
				quiet++
			}
			if strings.Contains(s.Command, "203.0.113.10") && (quiet != 2 || i != len(steps)-1) {
				t.Errorf("%s: the VIP is held at step %d of %d, after %d that keep it quiet", mode, i+1, len(steps), quiet)
			}
		}
	}
}
