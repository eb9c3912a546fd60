package survive

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
)

var errEnough = errors.New("enough")

// withPlane opens what is pinned, beside the daemon, which is not upgrading.
func (s *stage) withPlane(t *testing.T, f func(*loader.Plane)) {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	f(p)
}

// mustBeConsistent checks that the kernel has what the configuration file says, wholly: that a build from the file
// changes nothing, and that the Maglev tables, the steer words and the records agree with one another.
func (s *stage) mustBeConsistent(t *testing.T) {
	t.Helper()
	s.withPlane(t, func(p *loader.Plane) {
		im, tables := readWhole(t, p.Tables)
		cfg, err := config.Load(s.host.Options().Config)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := image.Build(image.Inputs{Config: cfg, State: state.State{}, Have: im, Ticks: p.Ticks.Of, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(im, want) {
			t.Errorf("half applied: the kernel has\n%+v\nthe configuration file wants\n%+v", im, want)
		}
		mustSteerWell(t, im)
		mustHaveTables(t, im, tables)
	})
}

// maglevs are tables by generation index and family.
type maglevs map[uint16][2][]uint16

// readWhole reads the configuration maps and the Maglev tables of one moment: the daemon, which goes on, may take away
// what has drained meanwhile.
func readWhole(t *testing.T, tables *kernel.Tables) (*image.Image, maglevs) {
	t.Helper()
	for {
		before, err := image.Read(tables)
		if err != nil {
			t.Fatal(err)
		}
		found := maglevs{}
		for g := range before.Generations {
			var both [2][]uint16
			for _, f := range kernel.Families() {
				if both[f], err = tables.Maglev(g, f); err != nil {
					t.Fatal(err)
				}
			}
			found[g] = both
		}
		after, err := image.Read(tables)
		if err != nil {
			t.Fatal(err)
		}
		if reflect.DeepEqual(before, after) {
			return before, found
		}
	}
}

func mustSteerWell(t *testing.T, im *image.Image) {
	t.Helper()
	for index, s := range im.Services {
		if s.Steer.Live == 0 {
			continue // it is going
		}
		draining := false
		colours := map[kernel.Colour]int{}
		for _, g := range im.GenerationsOf(index) {
			rec := im.Generations[g]
			colours[rec.Colour]++
			draining = draining || rec.State == kernel.Draining
			if (rec.State == kernel.Live) != (g == s.Steer.Live) {
				t.Errorf("service %s: generation %d has state %d, live is index %d", s.Name, rec.Number, rec.State, s.Steer.Live)
			}
			if g == s.Steer.Previous && rec.State != kernel.Draining {
				t.Errorf("service %s: orphans go to generation %d, which does not drain", s.Name, rec.Number)
			}
		}
		if colours[kernel.Blue] != 1 || colours[kernel.Green] != 1 {
			t.Errorf("service %s: generations by colour: %v", s.Name, colours)
		}
		if s.Steer.Draining != draining {
			t.Errorf("service %s: steer word %+v, a generation drains: %v", s.Name, s.Steer, draining)
		}
	}
}

func mustHaveTables(t *testing.T, im *image.Image, have maglevs) {
	t.Helper()
	for g, rec := range im.Generations {
		if rec.Colour == kernel.NoColour && rec.State == kernel.Drained {
			continue // it is being taken away: its tables go first
		}
		for _, f := range kernel.Families() {
			if !slices.Equal(have[g][f], im.Maglev(g, f)) {
				t.Errorf("generation index %d, family %d: the Maglev table is not that of its backends", g, f)
			}
		}
	}
}

// flow is what makes a flow.
type flow struct {
	client netip.AddrPort
	port   uint16
	vip    uint16
}

// pins counts the pins of each flow.
func (s *stage) pins(t *testing.T) map[flow]int {
	t.Helper()
	out := map[flow]int{}
	s.withPlane(t, func(p *loader.Plane) {
		for f := range p.Tables.Flows() {
			out[flow{f.Client, f.Port, f.VIP}]++
		}
	})
	return out
}
