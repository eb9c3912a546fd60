package image

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// scale is the size of a configuration: services, each with so many listeners, and in each of two pools so many backends.
type scale struct{ services, listeners, backends int }

// The most that a file may have is close to most: 1,000 services, 10,000 listeners and 64,000 backends.
var (
	some = scale{100, 10, 32}
	most = scale{1000, 10, 32}
)

func (s scale) yaml() string {
	var b strings.Builder
	b.WriteString("interfaces: [eth0]\nservices:\n")
	for i := range s.services {
		fmt.Fprintf(&b, "  s%d:\n    listeners:\n", i)
		for j := range s.listeners {
			fmt.Fprintf(&b, "      - {vip: 203.%d.%d.%d, protocol: %s, port: 7777}\n", j/2, i>>8, i&255, []string{"tcp", "udp"}[j%2])
		}
		b.WriteString("    pools:\n")
		for c, colour := range []string{"blue", "green"} {
			fmt.Fprintf(&b, "      %s:\n        version: v%d\n        backends:\n", colour, c)
			for k := range s.backends {
				fmt.Fprintf(&b, "          - {address: 10.%d.%d.%d}\n", c<<6|i>>8, i&255, k+1)
			}
		}
	}
	return b.String()
}

// A configuration of many services is applied, read back, and a small change of it reloaded.
func TestAConfigurationOfManyServicesIsReadBackAsItWasWritten(t *testing.T) {
	applied(t, some)
}

func BenchmarkTheLargestConfiguration(b *testing.B) {
	for b.Loop() {
		applied(b, most)
	}
}

// applied takes a configuration through all that a start and a reload do to the maps, and says how long each step took.
func applied(tb testing.TB, s scale) {
	tables := mapstest.Tables(tb, 1024, 1024)
	step := func(what string, f func()) {
		begin := time.Now()
		f()
		tb.Logf("%-28s %8.1f ms", what, time.Since(begin).Seconds()*1000)
	}
	write := func(have, want *Image) (steps int) {
		if err := (Writer{Tables: tables, Step: func(string) { steps++ }}).Write(have, want); err != nil {
			tb.Fatal(err)
		}
		return steps
	}
	text := s.yaml()
	var first, back, second *Image
	step("parse", func() { parse(tb, text) })
	step("parse and build", func() { first = mustBuild(tb, text, New()) })
	step("write", func() { write(New(), first) })
	step("read", func() {
		var err error
		if back, err = Read(tables); err != nil {
			tb.Fatal(err)
		}
	})
	if !reflect.DeepEqual(first, back) {
		tb.Fatal("what was read is not what was written")
	}
	if n := write(back, first); n != 0 {
		tb.Errorf("%d writes of what is there", n)
	}
	changed := strings.Replace(text, "{address: 10.0.0.1}", "{address: 10.0.0.1, weight: 2}", 1)
	step("parse and build a change", func() { second, _, _ = build(tb, changed, back, state.State{}) })
	step("write a change", func() {
		if n := write(back, second); n != 2 {
			tb.Errorf("%d writes for a backend and its Maglev table", n)
		}
	})
}
