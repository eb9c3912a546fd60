package image

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

const worldYAML = `
interfaces: [eth0]
services:
  world:
    listeners:
      - {vip: 203.0.113.10, protocol: tcp, port: 7777}
      - {vip: 203.0.113.10, protocol: udp, port: 7777-7779}
    pools:
      blue:
        version: "1.9"
        backends: [{address: 10.0.0.11}, {address: 10.0.0.12, weight: 2}]
      green:
        version: "2.0"
        backends: [{address: 10.0.1.11}]
`

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func build(t testing.TB, yaml string, have *Image, st state.State) (*Image, []string, error) {
	t.Helper()
	return Build(Inputs{Config: parse(t, yaml), State: st, Have: have, Now: noon.Local(), Ticks: func(d time.Duration) uint32 {
		return uint32(d / time.Second)
	}})
}

func mustBuild(t testing.TB, yaml string, have *Image) *Image {
	t.Helper()
	im, _, err := build(t, yaml, have, state.State{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func (im *Image) versionOf(service uint16, c kernel.Colour) string {
	g, _ := im.InColour(service, c)
	return im.Generations[g].Version
}

func TestTheFirstImageHasBlueLive(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	s := im.Services[1]
	if s.Name != "world" || im.Generations[s.Steer.Live].Colour != kernel.Blue || s.Steer.Previous != 0 || s.Steer.Draining {
		t.Errorf("service: %+v", s)
	}
	if n := len(im.Listeners); n != 1+3+2 {
		t.Errorf("%d listeners: want 1 TCP port, 3 UDP ports and 2 marks", n)
	}
	if len(im.VIPs) != 2 || len(im.Backends) != 3 || len(im.Generations) != 2 {
		t.Errorf("%d VIPs, %d backends, %d generations", len(im.VIPs), len(im.Backends), len(im.Generations))
	}
}

func TestAnUnchangedFileGivesTheSameImage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		yaml := randomYAML(rt)
		first := mustBuild(t, yaml, New())
		if again := mustBuild(t, yaml, first); !reflect.DeepEqual(first, again) {
			rt.Errorf("the second image of this file is another:\n%s", yaml)
		}
	})
}

func randomYAML(rt *rapid.T) string {
	var b strings.Builder
	b.WriteString("interfaces: [eth0]\nservices:\n")
	for i := range rapid.IntRange(1, 4).Draw(rt, "services") {
		fmt.Fprintf(&b, "  s%d:\n    forwarding: %s\n    listeners:\n", i, rapid.SampledFrom([]string{"dsr", "nat"}).Draw(rt, "mode"))
		for j := range rapid.IntRange(1, 3).Draw(rt, "listeners") {
			first := 1000 + 100*j
			fmt.Fprintf(&b, "      - {vip: 203.0.113.%d, protocol: %s, port: %d-%d}\n", i+1,
				rapid.SampledFrom([]string{"tcp", "udp"}).Draw(rt, "protocol"), first, first+rapid.IntRange(0, 5).Draw(rt, "ports"))
		}
		b.WriteString("    pools:\n")
		for c, colour := range []string{"blue", "green"} {
			fmt.Fprintf(&b, "      %s: {version: v%d, backends: [", colour, c)
			for k := range rapid.IntRange(1, 5).Draw(rt, "backends") {
				fmt.Fprintf(&b, "{address: 10.%d.%d.%d, weight: %d},", i, c, k+1, rapid.IntRange(0, 9).Draw(rt, "weight"))
			}
			b.WriteString("]}\n")
		}
	}
	return b.String()
}

func TestANewVersionInTheLiveColourIsRefused(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	_, _, err := build(t, strings.Replace(worldYAML, `"1.9"`, `"2.1"`, 1), im, state.State{})
	want := "test.yaml:10: services.world.pools.blue.version: blue is live with version 1.9: a new version goes to the idle colour, green, and is made live by a flip"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestRemovingTheLivePoolIsRefused(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	without := strings.Replace(worldYAML, `      blue:
        version: "1.9"
        backends: [{address: 10.0.0.11}, {address: 10.0.0.12, weight: 2}]
`, "", 1)
	if _, _, err := build(t, without, im, state.State{}); err == nil || !strings.Contains(err.Error(), "blue is live and cannot be removed: flip to green first") {
		t.Errorf("got %v", err)
	}
}

func TestANewVersionInTheIdleColourIsANewGenerationAndTheOldOneDrainsOnOutsideTheSlots(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	old, _ := im.InColour(1, kernel.Green)
	next := mustBuild(t, strings.Replace(worldYAML, `"2.0"`, `"2.1"`, 1), im)
	if v := next.versionOf(1, kernel.Green); v != "2.1" {
		t.Errorf("green is %s", v)
	}
	g, _ := next.InColour(1, kernel.Green)
	if next.Generations[g].Number != 3 || next.Generations[g].State != kernel.Candidate {
		t.Errorf("new generation: %+v", next.Generations[g])
	}
	if rec := next.Generations[old]; rec.Colour != kernel.NoColour || rec.State != kernel.Draining || rec.Number != 2 {
		t.Errorf("old generation: %+v", rec)
	}
	if len(next.BackendsOf(old)) != 1 || !next.Services[1].Steer.Draining {
		t.Error("the old generation lost its backend, or the service does not know that something drains")
	}
}

func TestARemovedBackendKeepsItsIDUntilASweepFindsItUnused(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	live := im.Services[1].Steer.Live
	var gone uint16
	for _, id := range im.BackendsOf(live) {
		if im.Backends[id].Addrs[kernel.IPv4] == netip.MustParseAddr("10.0.0.12") {
			gone = id
		}
	}
	changed := strings.Replace(worldYAML, "{address: 10.0.0.12, weight: 2}", "{address: 10.0.0.13}", 1)
	next := mustBuild(t, changed, im)
	if next.Backends[gone].Use != kernel.Removed {
		t.Fatalf("backend %d: %+v", gone, next.Backends[gone])
	}
	for _, id := range next.Maglev(live, kernel.IPv4) {
		if id == gone {
			t.Fatal("a removed backend still gets new sessions")
		}
	}
	busy := kernel.Sweep{Sessions: map[uint16]kernel.States{gone: {kernel.Established: 1}}}
	if _, changed := next.Collect(busy); changed {
		t.Error("something was collected while its last session goes on")
	}
	collected, _ := next.Collect(kernel.Sweep{})
	if _, there := collected.Backends[gone]; there {
		t.Error("an unused backend was not collected")
	}
	if len(collected.Backends) != 3 {
		t.Errorf("%d backends after collecting", len(collected.Backends))
	}
}

func TestAGenerationOutsideTheSlotsIsCollectedOnlyWhenItIsProvedToBeDrained(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	old, _ := im.InColour(1, kernel.Green)
	next := mustBuild(t, strings.Replace(worldYAML, `"2.0"`, `"2.1"`, 1), im)
	if _, changed := next.Collect(kernel.Sweep{}); changed {
		t.Error("a draining generation was collected by a single sweep")
	}
	rec := next.Generations[old]
	rec.State = kernel.Drained
	next.Generations[old] = rec
	collected, _ := next.Collect(kernel.Sweep{})
	if _, there := collected.Generations[old]; there || len(collected.BackendsOf(old)) != 0 {
		t.Error("a drained generation was not collected")
	}
}

func TestAPoolIsRecognisedByItsVersion(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	swapped := strings.NewReplacer("blue:", "green:", "green:", "blue:").Replace(worldYAML)
	next, notes, err := build(t, swapped, im, state.State{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(im, next) {
		t.Error("swapped names changed the image")
	}
	if len(notes) != 2 || !strings.Contains(notes[0], "write it as") {
		t.Errorf("notes: %q", notes)
	}
}

func TestAfterARebootTheStateFileSaysWhichGenerationIsLive(t *testing.T) {
	st := state.State{Services: map[string]state.Service{"world": {
		Live: 7, Previous: 6, NextGeneration: 8,
		Generations: []state.Generation{{Number: 6, Colour: "blue", Version: "1.9"}, {Number: 7, Colour: "green", Version: "2.0"}},
	}}}
	im, _, err := build(t, worldYAML, New(), st)
	if err != nil {
		t.Fatal(err)
	}
	live := im.Generations[im.Services[1].Steer.Live]
	if live.Number != 7 || live.Colour != kernel.Green || live.State != kernel.Live {
		t.Errorf("live: %+v", live)
	}
	if blue, _ := im.InColour(1, kernel.Blue); im.Generations[blue].Number != 6 {
		t.Errorf("blue: %+v", im.Generations[blue])
	}
}

func TestARemovedListenerIsClosedAndGoesWithItsLastFlow(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	without := strings.Replace(worldYAML, "      - {vip: 203.0.113.10, protocol: tcp, port: 7777}\n", "", 1)
	next := mustBuild(t, without, im)
	socket := kernel.Socket{Addr: netip.MustParseAddr("203.0.113.10"), Port: 7777, Protocol: kernel.ProtocolTCP}
	l := next.Listeners[socket]
	if l.Kind != kernel.Closed {
		t.Fatalf("listener: %+v", l)
	}
	if kept, _ := next.Collect(kernel.Sweep{VIPs: map[uint16]uint64{l.VIP: 1}, Listeners: map[uint16]uint64{l.ID: 1}}); kept.Listeners[socket].Kind != kernel.Closed {
		t.Error("a closed listener with a flow was collected")
	}
	collected, _ := next.Collect(kernel.Sweep{})
	if _, there := collected.Listeners[socket]; there {
		t.Error("a closed listener without a flow stayed")
	}
	if _, there := collected.VIPs[l.VIP]; there {
		t.Error("its VIP id stayed")
	}
}

func TestARemovedServiceGoesWhenAllOfItIsUnused(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	next := mustBuild(t, "interfaces: [eth0]\nservices: {}\n", im)
	if next.Services[1].Steer.Live != 0 {
		t.Error("a removed service still takes sessions")
	}
	for g, rec := range next.Generations {
		rec.State = kernel.Drained
		next.Generations[g] = rec
	}
	for range 2 {
		next, _ = next.Collect(kernel.Sweep{})
	}
	if next.size() != 0 {
		t.Errorf("left: %+v", next)
	}
}

// Ids are for the kernel's arrays: what comes after the last one would be counted as nobody's.
func TestTheLastIDsAreGivenOutAndNoMore(t *testing.T) {
	b := &builder{}
	free := idsBelow(4, "things", map[uint16]bool{2: true})
	if one, two := b.next(&free), b.next(&free); one != 1 || two != 3 || b.full != nil {
		t.Errorf("ids %d and %d, %v", one, two, b.full)
	}
	if id := b.next(&free); id != 0 || b.full == nil || !strings.Contains(b.full.Error(), "all 3 ids of things are in use") {
		t.Errorf("id %d, %v", id, b.full)
	}
}
