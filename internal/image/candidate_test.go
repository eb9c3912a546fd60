package image

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

func TestWhatIsStagedIsTheCandidateUntilItIsLive(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	s := im.Services[1]
	blue, _ := im.InColour(1, kernel.Blue)
	green, _ := im.InColour(1, kernel.Green)
	if s.Steer != (kernel.Steer{Live: blue, Candidate: green}) || s.Salt != saltOf("world", 2) {
		t.Fatalf("%+v", s)
	}
	s.Steer.Share = 500
	im = im.WithService(1, s)
	if again := mustBuild(t, worldYAML, im); again.Services[1] != s {
		t.Errorf("the same file made %+v of %+v", again.Services[1], s)
	}
	next := mustBuild(t, strings.Replace(worldYAML, `"2.0"`, `"2.1"`, 1), im)
	staged, _ := next.InColour(1, kernel.Green)
	if got := next.Services[1]; got.Steer != (kernel.Steer{Live: blue, Candidate: staged, Draining: true}) || got.Salt != saltOf("world", 3) {
		t.Errorf("another version is staged: %+v", got)
	}
	if rec := next.Generations[green]; rec.State != kernel.Draining || rec.NewAtFlip != UnknownCount {
		t.Errorf("what had a share is not marked anew when it leaves: %+v", rec)
	}
	flipped := s
	flipped.Steer = kernel.Steer{Live: green, Previous: blue, Draining: true}
	im = im.WithService(1, flipped)
	for g, state := range map[uint16]kernel.GenerationState{blue: kernel.Draining, green: kernel.Live} {
		rec := im.Generations[g]
		rec.State = state
		im = im.WithGeneration(g, rec)
	}
	if got := mustBuild(t, worldYAML, im).Services[1]; got.Steer != flipped.Steer {
		t.Errorf("after a flip: %+v", got.Steer)
	}
}

func TestAfterARebootTheCandidateHasItsShareAndTheOperatorsTesters(t *testing.T) {
	inside, home := netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("192.0.2.7/32")
	st := state.State{Services: map[string]state.Service{"world": {
		Live: 4, NextGeneration: 6, Testers: []netip.Prefix{inside}, Share: &state.Share{Generation: 5, TenThousandths: 250},
		Generations: []state.Generation{{Number: 4, Colour: "blue", Version: "1.9"}, {Number: 5, Colour: "green", Version: "2.0"}},
	}}}
	yaml := worldYAML + "    release: {testers: [192.0.2.7]}\n"
	im, _, err := build(t, yaml, New(), st)
	if err != nil {
		t.Fatal(err)
	}
	if s := im.Services[1]; s.Steer.Share != 250 || s.Salt != saltOf("world", 5) {
		t.Errorf("%+v", s)
	}
	by := im.TestersBy(kernel.FromOperator | kernel.FromFile)
	if !slices.Equal(by[1], []netip.Prefix{home, inside}) {
		t.Errorf("testers %v", by)
	}
	st.Services["world"].Share.Generation = 4
	if im, _, err = build(t, yaml, New(), st); err != nil || im.Services[1].Steer.Share != 0 {
		t.Errorf("another generation's share: %+v, %v", im.Services[1].Steer, err)
	}
}

func TestAReloadChangesTheTestersOfTheFileOnly(t *testing.T) {
	both, operator := netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("198.51.100.0/24")
	with := func(testers string) string { return worldYAML + "    release: {testers: [" + testers + "]}\n" }
	im := mustBuild(t, with("192.0.2.7, 192.0.2.8"), New())
	testers := im.Clone().Testers
	testers[kernel.Tester{Service: 1, Prefix: both}] |= kernel.FromOperator
	testers[kernel.Tester{Service: 1, Prefix: operator}] |= kernel.FromOperator
	im = im.WithTesters(testers)
	if again := mustBuild(t, with("192.0.2.7, 192.0.2.8"), im); !reflect.DeepEqual(again.Testers, testers) {
		t.Errorf("the same file made %v of %v", again.Testers, testers)
	}
	want := map[kernel.Tester]kernel.TesterOrigin{
		{Service: 1, Prefix: both}: kernel.FromOperator, {Service: 1, Prefix: operator}: kernel.FromOperator,
	}
	im = mustBuild(t, worldYAML, im)
	if !reflect.DeepEqual(im.Testers, want) {
		t.Errorf("without testers in the file: %v", im.Testers)
	}
	gone := mustBuild(t, "interfaces: [eth0]\nservices: {}\n", im)
	for _, g := range gone.GenerationsOf(1) {
		rec := gone.Generations[g]
		rec.State = kernel.Drained
		gone = gone.WithGeneration(g, rec)
	}
	for range 3 {
		gone, _ = gone.Collect(kernel.Sweep{})
	}
	if len(gone.Services)+len(gone.Testers) != 0 {
		t.Errorf("left of a service that is gone: %v, %v", gone.Services, gone.Testers)
	}
}

// Two hosts know a release by its number, and so share out the same clients.
func TestTheSaltIsOfTheServiceAndTheGeneration(t *testing.T) {
	seen := map[uint64]bool{}
	for _, name := range []string{"world", "world1", "w"} {
		for number := range uint32(300) {
			seen[saltOf(name, number)] = true
		}
	}
	if len(seen) != 900 || saltOf("world", 2) != 0xb44bc0bf375f5693 {
		t.Errorf("%d salts of 900 releases, the one of the second of world is %#x", len(seen), saltOf("world", 2))
	}
}
