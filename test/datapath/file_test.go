package datapath

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/maps"
)

// site is a data plane that a configuration file was written to, as the daemon does it.
type site struct {
	*world
	im *image.Image
}

// mustSite applies a file to a data plane in which nothing is set.
func mustSite(t *testing.T, yaml string) *site {
	t.Helper()
	s := &site{world: &world{plane: mustPlane(t, options{flows: 1000}), tb: t}}
	s.must(s.SetIface(inside, maps.Iface{MAC: hostMAC}))
	for _, kind := range maps.EveryLimited() {
		s.SetLimit(kind, 1000)
	}
	var err error
	if s.im, err = image.Read(s.Tables); err != nil {
		t.Fatal(err)
	}
	s.apply(yaml)
	return s
}

// apply reloads a file, and resolves the next hops of what is new.
func (s *site) apply(yaml string) {
	s.tb.Helper()
	cfg, err := config.Parse("test.yaml", []byte(yaml))
	s.must(err)
	want, _, err := image.Build(image.Inputs{Config: cfg, Have: s.im, Now: time.Unix(1, 0), Ticks: func(d time.Duration) uint32 {
		return uint32(d / time.Second)
	}})
	s.must(err)
	s.write(want)
	for _, f := range maps.Families() {
		for id := range s.Backends(f) {
			if _, resolved := s.Hop(f, id); !resolved {
				s.SetHop(f, id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(id)})
			}
		}
	}
}

func (s *site) write(want *image.Image) {
	s.tb.Helper()
	s.must(image.Writer{Tables: s.Tables}.Write(s.im, want))
	s.im = want
}

// id is a backend's, by its address and, in nat, port.
func (s *site) id(addr string, port uint16) uint16 {
	s.tb.Helper()
	for id, b := range s.im.Backends {
		if b.Port == port && (b.Addrs[maps.IPv4] == netip.MustParseAddr(addr) || b.Addrs[maps.IPv6] == netip.MustParseAddr(addr)) {
			return id
		}
	}
	s.tb.Fatalf("no backend %s port %d", addr, port)
	return 0
}

// player is a client's packet to a VIP of the file.
func player(vip string, proto uint8, port uint16, flags uint8) frame {
	return toVIP(netip.MustParseAddr(vip), proto, port, flags)
}
