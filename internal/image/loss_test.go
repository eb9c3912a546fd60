package image

import (
	"net/netip"
	"strings"
	"testing"

	kernel "github.com/ebbtide/ebbtide/maps"
)

var moving = strings.Replace(worldYAML, "    pools:", "    on_backend_loss: move\n    pools:", 1)

// seeing knows of some addresses; all others are there.
func seeing(known map[string]Sight) func(netip.Addr) Sight {
	return func(a netip.Addr) Sight {
		if s, ok := known[a.String()]; ok {
			return s
		}
		return There
	}
}

// backendAt is the backend with that IPv4 address, and its id.
func (im *Image) backendAt(t *testing.T, addr string) (uint16, Backend) {
	t.Helper()
	for id, b := range im.Backends {
		if b.Addrs[kernel.IPv4] == netip.MustParseAddr(addr) {
			return id, b
		}
	}
	t.Fatalf("no backend %s", addr)
	return 0, Backend{}
}

func (im *Image) mustBeLost(t *testing.T, when, addr string, want bool) {
	t.Helper()
	id, b := im.backendAt(t, addr)
	if b.Lost != [2]bool{want, false} {
		t.Errorf("%s: lost is %v, want %v", when, b.Lost, want)
	}
	for _, x := range im.Maglev(b.Generation, kernel.IPv4) {
		if want && x == id {
			t.Fatalf("%s: it gets new sessions", when)
		}
	}
}

func TestABackendIsLostFromWhenNobodyIsThereUntilSomebodyIs(t *testing.T) {
	im, moves := mustBuild(t, moving, New()), map[uint16]bool{1: true}
	for _, step := range []struct {
		when string
		see  Sight
		want bool
	}{
		{"nothing is known", Unsure, false}, {"it is there", There, false}, {"the link is down", Unsure, false},
		{"nobody answers", Gone, true}, {"the link is down meanwhile", Unsure, true}, {"nobody answers still", Gone, true},
		{"it is back", There, false},
	} {
		im = im.WithLosses(moves, seeing(map[string]Sight{"10.0.0.11": step.see}))
		im.mustBeLost(t, step.when, "10.0.0.11", step.want)
		im = mustBuild(t, moving, im)
		im.mustBeLost(t, step.when+", after a reload", "10.0.0.11", step.want)
	}
}

func TestASessionIsNotMovedWhereNobodyCouldTakeIt(t *testing.T) {
	im, moves := mustBuild(t, moving, New()), map[uint16]bool{1: true}
	all := map[string]Sight{"10.0.0.11": Gone, "10.0.0.12": Gone, "10.0.1.11": There}
	im = im.WithLosses(moves, seeing(all))
	im.mustBeLost(t, "all of the live generation are gone", "10.0.0.11", false)
	im.mustBeLost(t, "all of the live generation are gone", "10.0.0.12", false)
	all["10.0.0.12"] = Unsure
	im = im.WithLosses(moves, seeing(all))
	im.mustBeLost(t, "of the other nothing is known", "10.0.0.11", false)
	all["10.0.0.12"] = There
	im = im.WithLosses(moves, seeing(all))
	im.mustBeLost(t, "the other is back", "10.0.0.11", true)
	all["10.0.1.11"] = Gone
	im = im.WithLosses(moves, seeing(all))
	im.mustBeLost(t, "one of a generation that is not live", "10.0.1.11", true)
}

func TestABackendOfAServiceThatKeepsItsSessionsIsNeverLost(t *testing.T) {
	gone := seeing(map[string]Sight{"10.0.0.11": Gone})
	im := mustBuild(t, worldYAML, New()).WithLosses(map[uint16]bool{}, gone)
	im.mustBeLost(t, "keep", "10.0.0.11", false)
	im = mustBuild(t, moving, im).WithLosses(map[uint16]bool{1: true}, gone)
	im.mustBeLost(t, "move", "10.0.0.11", true)
	im = mustBuild(t, worldYAML, im)
	im.mustBeLost(t, "keep again", "10.0.0.11", false)
	im = mustBuild(t, moving, im).WithLosses(map[uint16]bool{1: true}, gone)
	im = mustBuild(t, "interfaces: [eth0]\nservices: {}\n", im)
	im.mustBeLost(t, "out of the file", "10.0.0.11", false)
}
