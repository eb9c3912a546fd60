package image

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

const shopYAML = `
interfaces: [eth0]
services:
  shop:
    forwarding: nat
    listeners:
      - {vip: 203.0.113.20, protocol: tcp, port: 80}
      - {vip: 203.0.113.20, protocol: tcp, port: 443}
    pools:
      blue: {version: "1", backends: [{address: 10.0.0.1, port: 8080}, {address: 10.0.0.2}]}
`

// The flows that are there would be rewritten in the other mode, or their replies no longer known.
func TestAListenerDoesNotMoveToAnotherServiceWhenNATIsInPlay(t *testing.T) {
	nat := strings.Replace(shopYAML, ", port: 8080", "", 1)
	for _, c := range []struct {
		name, from, to string
		refused        bool
	}{
		{"dsr to nat", strings.Replace(nat, "nat", "dsr", 1), strings.Replace(nat, "shop:", "market:", 1), true},
		{"nat to dsr", nat, strings.NewReplacer("shop:", "market:", "nat", "dsr").Replace(nat), true},
		{"nat to nat", nat, strings.Replace(nat, "shop:", "market:", 1), true},
		{"dsr to dsr", strings.Replace(nat, "nat", "dsr", 1), strings.NewReplacer("shop:", "market:", "nat", "dsr").Replace(nat), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			im := mustBuild(t, c.from, New())
			_, _, err := build(t, c.to, im, state.State{})
			if (err != nil) != c.refused {
				t.Fatalf("refused: %v", err)
			}
			if c.refused && !strings.Contains(err.Error(), "services.market.listeners: 203.0.113.20 tcp port 80 belongs to service shop, whose sessions go on") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A closed listener's replies come from the backend socket that the new one would use.
func TestABackendSocketThatAClosedListenerStillNeedsIsRefusedToAnother(t *testing.T) {
	one := strings.Replace(shopYAML, "      - {vip: 203.0.113.20, protocol: tcp, port: 443}\n", "", 1)
	im := mustBuild(t, one, New())
	moved := strings.Replace(one, "port: 80}", "port: 81}", 1)
	_, _, err := build(t, moved, im, state.State{})
	if err == nil || !strings.Contains(err.Error(), "backend 10.0.0.1:8080 would answer for 203.0.113.20:80 and for 203.0.113.20:81") {
		t.Errorf("%v", err)
	}
}

// A port that was moved does not wait for the whole VIP to fall silent.
func TestAClosedListenerGoesWithItsOwnLastFlow(t *testing.T) {
	two := strings.Replace(shopYAML, ", port: 8080", "", 1)
	im := mustBuild(t, two, New())
	next := mustBuild(t, strings.Replace(two, "      - {vip: 203.0.113.20, protocol: tcp, port: 443}\n", "", 1), im)
	closed := kernel.Socket{Addr: netip.MustParseAddr("203.0.113.20"), Port: 443, Protocol: kernel.ProtocolTCP}
	l := next.Listeners[closed]
	if l.Kind != kernel.Closed {
		t.Fatalf("%+v", l)
	}
	busy := kernel.Sweep{VIPs: map[uint16]uint64{l.VIP: 9}, Listeners: map[uint16]uint64{l.ID: 1}}
	if kept, _ := next.Collect(busy); kept.Listeners[closed].Kind != kernel.Closed {
		t.Error("collected with a flow")
	}
	busy.Listeners = nil
	collected, _ := next.Collect(busy)
	if collected.Listeners[closed].Kind == kernel.Closed {
		t.Error("without a flow it stayed, as others of its VIP have some")
	}
	if again := mustBuild(t, strings.Replace(two, "      - {vip: 203.0.113.20, protocol: tcp, port: 443}\n", "", 1), collected); !reflect.DeepEqual(again, collected) {
		t.Errorf("what was collected is not what the file gives: %+v, %+v", collected, again)
	}
}

func TestAPoolThatTheFileHasInNeitherColourLeavesItsSlot(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	blue, _ := im.InColour(1, kernel.Blue)
	green, _ := im.InColour(1, kernel.Green)
	s := im.Services[1]
	s.Steer = kernel.Steer{Live: green}
	im.Services[1] = s
	b, g := im.Generations[blue], im.Generations[green]
	b.State, g.State = kernel.Drained, kernel.Live
	im.Generations[blue], im.Generations[green] = b, g
	onlyTwo := worldYAML[:strings.Index(worldYAML, "      blue:")] + "      blue: {version: \"2.0\", backends: [{address: 10.0.1.11}]}\n"
	next, notes, err := build(t, onlyTwo, im, state.State{})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := next.InColour(1, kernel.Blue); there || next.Services[1].Steer.Live != green {
		t.Errorf("blue is %s still, live is %d", next.versionOf(1, kernel.Blue), next.Services[1].Steer.Live)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "version 2.0 is green here") {
		t.Errorf("notes %q", notes)
	}
}

// The edit was refused while the daemon ran, and stayed in the file.
func TestAfterARebootAnEditedVersionOfTheLiveColourIsStillTheLiveColour(t *testing.T) {
	st := state.State{Services: map[string]state.Service{"world": {
		Live: 2, NextGeneration: 3,
		Generations: []state.Generation{{Number: 1, Colour: "blue", Version: "1.9"}, {Number: 2, Colour: "green", Version: "2.0"}},
	}}}
	im, notes, err := build(t, strings.Replace(worldYAML, `"2.0"`, `"2.0.1"`, 1), New(), st)
	if err != nil {
		t.Fatal(err)
	}
	if live := im.Generations[im.Services[1].Steer.Live]; live.Colour != kernel.Green || live.Version != "2.0.1" || live.Number != 3 {
		t.Errorf("live: %+v", live)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "version 2.0 was live on green; the file has version 2.0.1 there") {
		t.Errorf("notes %q", notes)
	}
}

// What a kill between the two families of a backend leaves is written again, not taken for what was wanted.
func TestABackendWhoseFamiliesDisagreeIsNotTheOneThatIsWanted(t *testing.T) {
	im := New()
	b := kernel.Backend{Addr: netip.MustParseAddr("10.0.0.1"), Use: kernel.InPool, Weight: 1}
	im.joinBackend(kernel.IPv4, 1, b)
	whole := im.Clone()
	b.Addr = netip.MustParseAddr("2001:db8::1")
	whole.joinBackend(kernel.IPv6, 1, b)
	b.Weight = 9
	im.joinBackend(kernel.IPv6, 1, b)
	if reflect.DeepEqual(im.Backends[1], whole.Backends[1]) || im.Backends[1].Use != 0 {
		t.Errorf("%+v", im.Backends[1])
	}
	if whole.Backends[1].Use != kernel.InPool {
		t.Errorf("families that agree: %+v", whole.Backends[1])
	}
}

// Its new sessions from before are no broken promise.
func TestALiveGenerationThatIsRetiredIsMarkedAsNotCountedYet(t *testing.T) {
	im := mustBuild(t, worldYAML, New())
	live := im.Services[1].Steer.Live
	next, _, err := Build(Inputs{Config: parse(t, "interfaces: [eth0]\nservices: {}\n"), Have: im, Now: noon,
		Ticks: func(time.Duration) uint32 { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	if rec := next.Generations[live]; rec.NewAtFlip != UnknownCount || rec.State != kernel.Draining {
		t.Errorf("%+v", rec)
	}
}
