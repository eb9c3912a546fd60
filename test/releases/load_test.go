package releases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestMain(m *testing.M) {
	host.Child() // the daemon is this executable
	os.Exit(m.Run())
}

const (
	services = 50
	flows    = 1_000_000
	maxFlows = 1_250_000 // a table that is 90% full refuses releases
	each     = flows / services
	bake     = 10 * time.Second
	notice   = 20 * time.Second // before the deadline
	deadline = 45 * time.Second
	quiet    = 10 * time.Second
)

// load is a daemon with many services and many flows, which all are on blue.
type load struct {
	lab   *lab.Lab
	host  *host.Host
	plane *loader.Plane
	spent map[string]time.Duration // CPU time of the daemon, by phase
	at    time.Duration            // its CPU time when the phase began
	anon  int                      // the most that it had, in bytes
}

// BenchmarkFiftyReleasesAtOnce releases fifty services at once with a million flows. It says how much CPU time and memory the
// daemon takes, and how late each kind of decision comes, from the moment at which it could have been made.
func BenchmarkFiftyReleasesAtOnce(b *testing.B) {
	for b.Loop() {
		measure(b)
	}
}

func measure(b *testing.B) {
	l := mustLoad(b)
	ctx, stop := context.WithCancel(b.Context())
	var beside sync.WaitGroup
	var answers []time.Duration
	beside.Go(func() { answers = l.ask(ctx) })
	beside.Go(func() { l.watchMemory(ctx) })
	time.Sleep(quiet)
	l.phase("idle")

	asked := time.Now()
	l.start(b)
	l.await(b, release.Draining)
	l.phase("flip and bake")
	l.await(b, release.Migrating)
	l.phase("drain and notice")
	eventually(b, "all sessions to be told to move", func() bool { return l.unmarked() == 0 })
	moved := time.Now()
	l.free(1)
	emptied := time.Now()
	all := l.await(b, release.Done)
	l.phase("move and end")
	stop()
	beside.Wait()

	report := func(what string, late []time.Duration) {
		slices.Sort(late)
		b.ReportMetric(late[len(late)/2].Seconds(), what+"-median-s")
		b.ReportMetric(late[len(late)-1].Seconds(), what+"-most-s")
	}
	late := map[string][]time.Duration{}
	for _, r := range all {
		late["flip"] = append(late["flip"], r.came[release.Baking].Sub(asked))
		late["bake"] = append(late["bake"], r.came[release.Draining].Sub(r.came[release.Baking].Add(bake)))
		late["notice"] = append(late["notice"], r.came[release.Noticing].Sub(r.deadline.Add(-notice)))
		late["deadline"] = append(late["deadline"], r.came[release.Migrating].Sub(r.deadline))
		late["move"] = append(late["move"], moved.Sub(r.came[release.Migrating]))
		late["empty"] = append(late["empty"], r.came[release.Retiring].Sub(emptied))
		late["done"] = append(late["done"], r.came[release.Done].Sub(emptied))
	}
	for _, what := range slices.Sorted(maps.Keys(late)) {
		report(what, late[what])
	}
	report("answer", answers)
	for what, spent := range l.spent {
		b.ReportMetric(spent.Seconds(), "cpu-"+strings.ReplaceAll(what, " ", "-"))
	}
	b.ReportMetric(float64(l.anon)/(1<<20), "MiB")
	b.ReportMetric(0, "ns/op")
}

// mustLoad builds a network, starts the daemon and puts the flows into its table.
func mustLoad(b *testing.B) *load {
	b.Helper()
	l := &load{lab: lab.Must(b, lab.Options{Backends: []string{"blue1", "green1"}}), spent: map[string]time.Duration{}}
	var err error
	if l.host, err = host.New(l.lab, host.Options{}); err != nil {
		b.Fatal(err)
	}
	var list []host.Service
	for i := range services {
		list = append(list, host.Service{
			Name: name(i), Timeouts: "{tcp: 2h}", Listeners: []string{fmt.Sprintf("{vip: %s, protocol: tcp, port: %d}", lab.VIP4, 7000+i)},
			Release: fmt.Sprintf("{bake: %s, deadline: %s, notice: {at: [-%s], batch: 5000}, migrate: {batch: 5000, every: 1s}, "+
				"gates: [{kernel: resets, window: %s, on_fail: rollback}], hooks: {notice: [{exec: [/bin/true]}], retire: [{exec: [/bin/true]}]}}", bake, deadline, notice, bake),
		})
	}
	if err := l.host.Configure(host.YAML(l.lab, lab.DSR, maxFlows, list...)); err != nil {
		b.Fatal(err)
	}
	if err := l.host.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.host.Stop(); err != nil {
			b.Error(err)
		}
		if b.Failed() {
			b.Logf("the daemon's log:\n%s", l.host.Log())
		}
	})
	l.host.AwaitHops(b)
	if l.plane, err = l.host.Plane(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.plane.Close() })
	l.fill(b)
	lab.Eventually(b, "a sweep that counts all flows", func() bool {
		return l.host.Status(b).Services[services-1].Generations[0].Sessions.Established == each
	})
	l.at = l.cpu()
	return l
}

func name(i int) string { return fmt.Sprintf("s%02d", i) }

// fill gives each service its part of the flows, on its blue backend.
func (l *load) fill(b *testing.B) {
	b.Helper()
	var blue []uint16
	for _, s := range l.host.Status(b).Services {
		blue = append(blue, s.Generations[0].Backends[0].ID)
	}
	tables := l.plane.Tables
	vips, err := tables.VIPs()
	if err != nil {
		b.Fatal(err)
	}
	var vip uint16
	for id, v := range vips {
		if v.Addr == lab.VIP4 {
			vip = id
		}
	}
	now, err := l.plane.Now()
	if err != nil || vip == 0 {
		b.Fatalf("VIP id %d, %v", vip, err)
	}
	mapstest.Fill4(b, tables, maxFlows, flows, func(i int) kernel.Meta { return mapstest.Meta(kernel.Established, vip, blue[i%services], now) })
}

// free ends one in so many of the flows.
func (l *load) free(part uint32) {
	tables := l.plane.Tables
	for slot := range tables.SlotCount(kernel.IPv4) {
		for m := tables.Meta(kernel.IPv4, slot); m != 0 && slot%part == 0; m = tables.Meta(kernel.IPv4, slot) {
			if tables.SwapMeta(kernel.IPv4, slot, m, 0) {
				break
			}
		}
	}
}

// unmarked counts the flows that nobody has told to move.
func (l *load) unmarked() (n int) {
	tables := l.plane.Tables
	for slot := range tables.SlotCount(kernel.IPv4) {
		if tables.Meta(kernel.IPv4, slot).State() == kernel.Established {
			n++
		}
	}
	return n
}

// start asks for all releases at the same time.
func (l *load) start(b *testing.B) {
	b.Helper()
	failed := make([]error, services)
	var all sync.WaitGroup
	for i := range services {
		all.Go(func() {
			_, failed[i] = l.host.Client.Release(b.Context(), api.ReleaseRequest{Service: name(i), Do: api.ReleaseStart})
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		b.Fatal(err)
	}
}

// seen is when a release came into each state, the first time, by the daemon's own clock.
type seen struct {
	came     map[release.State]time.Time
	deadline time.Time
}

// await waits until each release has been in a state, and tells what the journal has of all.
func (l *load) await(b *testing.B, state release.State) (all map[string]*seen) {
	b.Helper()
	eventually(b, fmt.Sprintf("all to be %s", state), func() bool {
		all = l.journal(b)
		for _, r := range all {
			if r.came[state].IsZero() {
				return false
			}
		}
		return len(all) == services
	})
	return all
}

// eventually looks more rarely than a test does: looking costs CPU time, which the daemon is to have.
func eventually(b *testing.B, what string, ok func() bool) {
	b.Helper()
	for begin := time.Now(); !ok(); time.Sleep(300 * time.Millisecond) {
		if time.Since(begin) > 3*time.Minute {
			b.Fatalf("waited in vain: %s", what)
		}
	}
}

func (l *load) journal(b *testing.B) map[string]*seen {
	b.Helper()
	f, err := os.Open(filepath.Join(l.host.Options().StateDir, journal.FileName))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	all := map[string]*seen{}
	_, err = journal.Verify(f, func(e journal.Event) error {
		var t struct {
			State   release.State
			Release release.Record
		}
		if e.Act != "release" || json.Unmarshal(e.After, &t) != nil {
			return nil
		}
		r := all[e.Service]
		if r == nil {
			r = &seen{came: map[release.State]time.Time{}}
			all[e.Service] = r
		}
		if r.came[t.State].IsZero() {
			r.came[t.State] = e.Time
		}
		r.deadline = t.Release.Deadline
		return nil
	})
	if err != nil && !errors.Is(err, journal.ErrTorn) {
		b.Fatal(err)
	}
	return all
}

// ask asks for one release's state ten times a second, and gives how long each answer took.
func (l *load) ask(ctx context.Context) (answers []time.Duration) {
	for ctx.Err() == nil {
		begin := time.Now()
		if _, err := l.host.Client.Releases(ctx, api.ReleasesRequest{Service: name(0)}); err == nil {
			answers = append(answers, time.Since(begin))
		}
		time.Sleep(100 * time.Millisecond)
	}
	return answers
}

var rssAnon = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// watchMemory remembers the most anonymous memory that the daemon has had.
func (l *load) watchMemory(ctx context.Context) {
	for ctx.Err() == nil {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.host.PID()))
		if found := rssAnon.FindSubmatch(status); found != nil {
			kib, _ := strconv.Atoi(string(found[1]))
			l.anon = max(l.anon, kib<<10)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// phase notes the CPU time since the last one.
func (l *load) phase(what string) {
	now := l.cpu()
	l.spent[what], l.at = now-l.at, now
}

// cpu is the daemon's CPU time, and that of hooks that have ended.
func (l *load) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.host.PID()))
	if err != nil {
		panic(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, at := range []int{11, 12, 13, 14} { // utime, stime, and those of children
		n, err := strconv.Atoi(fields[at])
		if err != nil {
			panic(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
