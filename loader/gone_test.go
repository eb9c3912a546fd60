package loader

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/bpf/bpfwide"
)

// mustVeth makes a pair that is up, and returns how to take it away.
func mustVeth(t *testing.T, name, peer string) (remove func()) {
	t.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name, peer} {
		l, err := netlink.LinkByName(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := netlink.LinkDel(veth); err != nil {
			t.Fatal(err)
		}
	}
}

// A link whose interface went away runs nothing: no upgrade, nor its undoing, fails by it, whenever it went.
func TestAnInterfaceThatWentAwayIsInNoUpgradesWay(t *testing.T) {
	for _, cut := range []string{"", "upgrade: ready", "upgrade: move link a", "upgrade: exchange"} {
		t.Run("cut before "+cut, func(t *testing.T) {
			mustNS(t)
			opt := options(mustBPFFS(t))
			p := mustOpen(t, opt)
			remove := mustVeth(t, "0first", "0peer")
			mustAttach(t, p, "0first", "a")
			before := mustPlant(t, p, 10)
			opt.Spec = mustSpec(t, bpfwide.LoadProgram)
			p.spec = opt.Spec
			if cut == "" {
				remove()
			}
			abandon(t, p, func(step string) {
				if step == cut {
					remove()
					panic(errCut)
				}
			})
			p = mustOpen(t, opt)
			defer p.Close()
			if err := p.Upgrade(5000, nil); err != nil {
				t.Fatal(err)
			}
			if after := pins(p); !slices.Equal(before, after) {
				t.Errorf("%d pins before, %d after, or others", len(before), len(after))
			}
			mustBeAttached(t, p, 1)
			mustVeth(t, "0first", "0peer")
			if err := p.Attach("0first", Native, false); err != nil {
				t.Errorf("attach to an interface that came back: %v", err)
			}
			if err := Detach(opt.Dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// Who begins to follow hears of what is there first: an interface may have changed while nobody followed.
func TestWhoFollowsLinksHearsOfThoseThatAreThere(t *testing.T) {
	mustNS(t)
	a, err := netlink.LinkByName("a")
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	err = FollowLinks(context.Background(), func(c LinkChange) error {
		if c.Name == "a" && c.Up && c.Index == uint32(a.Attrs().Index) && slices.Equal(c.MAC[:], a.Attrs().HardwareAddr) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}
