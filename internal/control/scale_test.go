package control

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/metrics"
	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

// manyServices is a configuration with ten listeners a service, and in each of two pools so many backends.
func manyServices(services, backends int) string {
	var b strings.Builder
	b.WriteString("interfaces: [eth0]\nmax_flows: 4096\nvip_addresses: none\nservices:\n")
	for i := range services {
		fmt.Fprintf(&b, "  s%d:\n    listeners:\n", i)
		for j := range 10 {
			fmt.Fprintf(&b, "      - {vip: 203.%d.%d.%d, protocol: %s, port: 7777}\n", j/2, i>>8, i&255, []string{"tcp", "udp"}[j%2])
		}
		b.WriteString("    pools:\n")
		for c, colour := range []string{"blue", "green"} {
			fmt.Fprintf(&b, "      %s:\n        version: v%d\n        backends:\n", colour, c)
			for k := range backends {
				fmt.Fprintf(&b, "          - {address: 10.%d.%d.%d}\n", c<<6|i>>8, i&255, k+1)
			}
		}
	}
	return b.String()
}

// newUnattached is a controller of a data plane that is loaded and pinned, with a configuration written into its maps, and
// attached to nothing.
func newUnattached(tb testing.TB, yaml string) *Controller {
	tb.Helper()
	return newUnattachedIn(tb, tb.TempDir(), yaml)
}

// newUnattachedIn pins the data plane in a directory's "plane".
func newUnattachedIn(tb testing.TB, dir, yaml string) *Controller {
	tb.Helper()
	lab.MustMountBPFFS(tb, dir)
	log := slog.New(slog.DiscardHandler)
	plane, err := loader.Open(loader.Options{Dir: filepath.Join(dir, "plane"), MaxFlows: 4096, Logger: log})
	must(tb, err)
	tb.Cleanup(func() { must(tb, plane.Close()) })
	store, err := state.Open(tb.TempDir())
	must(tb, err)
	tb.Cleanup(func() { must(tb, store.Close()) })
	events, err := journal.Open(tb.TempDir(), time.Now)
	must(tb, err)
	tb.Cleanup(func() { must(tb, events.Close()) })
	c := &Controller{
		opt: Options{Now: time.Now, Logger: log, Plane: plane, Store: store, Journal: events}, log: log, plane: plane, image: image.New(),
		looks: newLooks(), drains: map[uint16]*drain{}, kick: make(chan struct{}, 1), change: make(chan struct{}),
	}
	c.hops, err = newHops(plane, log, c.looks.at)
	must(tb, err)
	tb.Cleanup(c.hops.close)
	c.cfg, err = config.Parse("many.yaml", []byte(yaml))
	must(tb, err)
	want, _, err := c.build(c.cfg)
	must(tb, err)
	must(tb, c.write(want))
	return c
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// A scrape and status show the same.
func TestFiguresAreThoseOfStatus(t *testing.T) {
	c := newUnattached(t, manyServices(3, 2))
	for g := range c.image.Generations {
		counted := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
		counted[0] = bpf.ProgramCounters{Sent: bpf.ProgramSent{Packets: 100 + uint64(g), Bytes: 1000}, NewSessions: 7, Orphans: 3, Reopened: 2, Rejoined: 5, Moved: 4, Unpinned: 1}
		must(t, c.plane.Tables.Map("generation_counters").Put(uint32(g), counted))
	}
	c.last.Sessions = map[uint16]kernel.States{}
	for id := range c.image.Backends {
		sent := make([]bpf.ProgramSent, ebpf.MustPossibleCPU())
		sent[0] = bpf.ProgramSent{Packets: uint64(id), Bytes: 100}
		must(t, c.plane.Tables.Map("backend_counters").Put(uint32(id), sent))
		c.last.Sessions[id] = kernel.States{kernel.Young: 1, kernel.Established: uint32(id), kernel.Evicting: 2}
	}
	status, err := c.Status(t.Context())
	must(t, err)
	figures, err := c.Figures(t.Context())
	must(t, err)
	var want []metrics.Generation
	for _, s := range status.Services {
		for _, g := range s.Generations {
			for i, b := range g.Backends {
				var hops []api.NextHop
				for _, hop := range b.NextHops {
					hops = append(hops, api.NextHop{State: hop.State})
				}
				g.Backends[i] = api.Backend{
					ID: b.ID, Addresses: b.Addresses, Port: b.Port, Sessions: b.Sessions, Counted: true, Packets: uint64(b.ID), Bytes: 100, NextHops: hops,
				}
			}
			want = append(want, metrics.Generation{Service: s.Name, Generation: g})
		}
	}
	if !reflect.DeepEqual(figures.Generations, want) || len(want) != 6 {
		t.Errorf("a scrape has %+v\nstatus has %+v", figures.Generations, want)
	}
	if figures.Backends != 12 || figures.MaxFlows != 4096 || len(figures.Tables) != 2 {
		t.Errorf("%+v", figures)
	}
}

// What a reload of a thousand services says and does, but for the writes to the maps, which internal/image measures.
func BenchmarkPlanAndStatusOfTheLargestConfiguration(b *testing.B) {
	yaml := manyServices(1000, 32)
	c := newUnattached(b, yaml)
	cfg, err := config.Parse("many.yaml", []byte(strings.Replace(yaml, "{address: 10.0.0.1}", "{address: 10.0.0.1, weight: 2}", 1)))
	must(b, err)
	for name, do := range map[string]func(){
		"plan": func() {
			want, notes, err := c.build(cfg)
			must(b, err)
			plan, err := c.plan(cfg, want, notes)
			must(b, err)
			if len(plan.Changes) != 2 { // the backend, and the interface
				b.Fatal(plan.Changes)
			}
		},
		"status": func() {
			_, err := c.Status(b.Context())
			must(b, err)
		},
		"steer": func() { c.setSteer(1, c.image.Services[1].Steer, "bench") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				do()
			}
		})
	}
}

func BenchmarkScrapeOfAThousandServices(b *testing.B) {
	for _, backends := range []int{5, 32} {
		b.Run(fmt.Sprintf("%d backends", 2000*backends), func(b *testing.B) { scrape(b, manyServices(1000, backends)) })
	}
}

func scrape(b *testing.B, yaml string) {
	c := newUnattached(b, yaml)
	c.last.Sessions = map[uint16]kernel.States{}
	for id := range c.image.Backends {
		c.last.Sessions[id] = kernel.States{kernel.Established: 1}
	}
	h, begin, size := metrics.Handler(c), cpuTime(b), 0
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if size = bytes.Count(w.Body.Bytes(), []byte("\n")); w.Code != http.StatusOK {
			b.Fatal(w.Body.String())
		}
	}
	b.ReportMetric(float64(size), "lines")
	b.ReportMetric((cpuTime(b)-begin).Seconds()*1000/float64(b.N), "cpu-ms/op")
}
