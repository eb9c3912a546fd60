package control

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// listing is a table of flows of two services, a hundred backends each, and what it takes to list them.
type listing struct {
	im     *image.Image
	tables *kernel.Tables
}

// What building gives them: services and VIPs are numbered by name, backends by service.
const (
	lobby, world  = 1, 2
	backendsOfOne = 100
	now           = 1000 // tick
)

// newListing has flows whose clients count up from 10.0.0.0, by turns of the lobby and the world. Every tenth is half-open,
// every hundredth expired.
func newListing(tb testing.TB, maxFlows uint32, flows int) listing {
	tb.Helper()
	l := listing{mustBuild(tb, twoServices()), mapstest.Tables(tb, maxFlows, 1024)}
	rec := l.im.Generations[world]
	rec.Number = world // so that a number tells the service
	l.im.Generations[world] = rec
	mapstest.Fill4(tb, l.tables, maxFlows, flows, func(i int) kernel.Meta {
		service := uint16(lobby + i%2)
		state, seen := kernel.Established, uint32(now)
		if i%10 == 0 {
			state = kernel.HalfOpen
		}
		if i%100 == 1 {
			seen = now - 61
		}
		return mapstest.Meta(state, service, (service-1)*backendsOfOne+1+uint16(i/2%backendsOfOne), seen)
	})
	return l
}

func twoServices() string {
	var b strings.Builder
	b.WriteString("interfaces: [eth0]\nservices:\n")
	for i, name := range []string{"lobby", "world"} {
		fmt.Fprintf(&b, "  %s:\n    listeners: [{vip: 203.0.113.%d, protocol: tcp, port: 7777}]\n    pools: {blue: {version: v1, backends: [", name, i+1)
		for k := range backendsOfOne {
			fmt.Fprintf(&b, "{address: 10.0.%d.%d},", i, k+1)
		}
		b.WriteString("]}}\n")
	}
	return b.String()
}

func mustBuild(tb testing.TB, yaml string) *image.Image {
	tb.Helper()
	cfg, err := config.Parse("test.yaml", []byte(yaml))
	if err != nil {
		tb.Fatal(err)
	}
	im, _, err := image.Build(image.Inputs{Config: cfg, Have: image.New(), Ticks: func(time.Duration) uint32 { return 60 }})
	if err != nil {
		tb.Fatal(err)
	}
	return im
}

func (l listing) walk(ctx context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
	v, err := newFlowView(l.im, filter, time.Second)
	if err != nil {
		return err
	}
	piece := func(read func(uint32)) error {
		read(now)
		return nil
	}
	return v.walk(ctx, l.tables, piece, yield)
}

// Pieces begin and end anywhere: none is lost between two, and none is listed twice.
func TestAListingHasTheFlowsThatAgreeWithItsFilterOnceEach(t *testing.T) {
	const flows = 5000
	l := newListing(t, flows, flows)
	for _, c := range []struct {
		filter api.FlowFilter
		want   int
	}{
		{api.FlowFilter{}, flows - flows/100},
		{api.FlowFilter{Service: "lobby"}, flows / 2},
		{api.FlowFilter{Service: "world"}, flows/2 - flows/100},
		{api.FlowFilter{Generation: world}, flows/2 - flows/100},
		{api.FlowFilter{Generation: 7}, 0},
		{api.FlowFilter{State: "half-open"}, flows / 10},
		{api.FlowFilter{State: "closing"}, 0},
		{api.FlowFilter{Client: "10.0.1.2"}, 1},
		{api.FlowFilter{Client: "10.0.0.0/24"}, 256 - 3},
		{api.FlowFilter{Service: "lobby", Client: "10.0.0.0/24", State: "half-open"}, 26},
	} {
		seen := map[string]bool{}
		err := l.walk(t.Context(), c.filter, func(f api.Flow) error {
			if seen[f.Client] {
				t.Errorf("%+v: %s is listed twice", c.filter, f.Client)
			}
			seen[f.Client] = true
			return nil
		})
		if err != nil || len(seen) != c.want {
			t.Errorf("%+v: %d flows, want %d (%v)", c.filter, len(seen), c.want, err)
		}
	}
}

// The whole way of a listing, from the table over the socket to the client, holds a bounded part of it at a time.
func TestAListingTakesNoMemoryForItsFlows(t *testing.T) {
	const (
		flows = 40_000 // about 14 MB in the API's words
		most  = 4 << 20
	)
	l := newListing(t, flows, flows)
	socket, _ := apitest.Serve(t, &apitest.Fake{OnFlows: l.walk})
	client := api.New(socket)
	defer client.Close()
	before, listed := liveHeap(), 0
	err := client.Flows(t.Context(), api.FlowFilter{}, func(api.Flow) error {
		if listed++; listed%5_000 == 0 {
			if now := liveHeap(); now > before+most {
				return fmt.Errorf("%d bytes more than before are in use after %d flows", now-before, listed)
			}
		}
		return nil
	})
	if err != nil || listed < flows*9/10 {
		t.Errorf("%d flows listed: %v", listed, err)
	}
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What `ebbtide flows` waits for with ten million flows in the table.
func BenchmarkListingOfTenMillionFlows(b *testing.B) {
	const flows = 10_000_000
	l := newListing(b, flows, flows)
	for _, c := range []struct {
		name   string
		filter api.FlowFilter
	}{
		{"of one client", api.FlowFilter{Client: "10.1.2.3"}},
		{"of one generation and client", api.FlowFilter{Generation: world, Client: "10.1.2.3"}},
		{"of a state that none has", api.FlowFilter{State: "closing"}},
		{"of a million half-open ones", api.FlowFilter{State: "half-open"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			listed, begin := 0, cpuTime(b)
			for b.Loop() {
				listed = 0
				count := func(api.Flow) error { listed++; return nil }
				if err := l.walk(b.Context(), c.filter, count); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(listed), "flows")
			b.ReportMetric((cpuTime(b)-begin).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// The same over the socket, as the client has them: a million of ten million flows.
func BenchmarkListingOverTheSocket(b *testing.B) {
	const flows = 10_000_000
	l := newListing(b, flows, flows)
	socket, _ := apitest.Serve(b, &apitest.Fake{OnFlows: l.walk})
	client := api.New(socket)
	defer client.Close()
	listed, begin := 0, cpuTime(b)
	for b.Loop() {
		listed = 0
		err := client.Flows(b.Context(), api.FlowFilter{State: "half-open"}, func(api.Flow) error { listed++; return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(listed), "flows")
	b.ReportMetric((cpuTime(b)-begin).Seconds()*1000/float64(b.N), "cpu-ms/op")
}

// cpuTime of this process: the host may have other things to do.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
