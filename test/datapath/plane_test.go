package datapath

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// frozen shifts every tick away: the clock stands at 0, and time passes only as a test ages entries.
const frozen = 63

// options say which data plane a test wants. The zero value is the shipped program with room for 1,000 flows and a
// frozen clock.
type options struct {
	flows     uint32 // max_flows
	tickShift uint32 // 0: frozen
	seed      uint64
	leaveOut  bpftest.ProgramRule // needs the test build
	stall     uint32
	testBuild bool
	backends  uint32 // ids, 0: 128
	object    string // path of a built object, instead of one that is committed
}

// plane is one data plane, attached to nothing.
type plane struct {
	*maps.Tables
	program, sweeper *ebpf.Program
	evicter          *ebpf.Program
	layouts          [2]maps.Layout
	maps             map[string]*ebpf.Map
}

// mustPlane gives a test a data plane of its own, in which nothing is set.
func mustPlane(tb testing.TB, o options) *plane {
	tb.Helper()
	p := shelf.take(o)
	if p == nil {
		p = mustLoad(tb, o)
	}
	mustReset(tb, p)
	tb.Cleanup(func() { shelf.put(o, p) })
	return p
}

func mustLoad(tb testing.TB, o options) *plane {
	tb.Helper()
	spec := mustSpec(tb, o)
	p := &plane{}
	for _, f := range maps.Families() {
		p.layouts[f] = maps.LayoutFor(f, max(1, o.flows))
	}
	mustConfigure(tb, spec, p.layouts, o)
	if err := rlimit.RemoveMemlock(); err != nil {
		tb.Fatal(needs(err))
	}
	vars, err := maps.VariablesOf(spec)
	if err != nil {
		tb.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		tb.Fatal(needs(err))
	}
	p.evicter = coll.Programs["evict"]
	p.program, p.sweeper, p.maps = coll.Programs["ebbtide"], coll.Programs["sweep"], coll.Maps
	if p.Tables, err = maps.New(coll.Maps, vars, p.layouts); err != nil {
		tb.Fatal(err)
	}
	return p
}

// mustSibling loads a program of another build on a plane's maps, as an upgrade does.
func mustSibling(tb testing.TB, p *plane, o options) *ebpf.Program {
	tb.Helper()
	spec := mustSpec(tb, o)
	mustConfigure(tb, spec, p.layouts, o)
	reuse := map[string]*ebpf.Map{}
	for name, m := range p.maps {
		if !strings.HasPrefix(name, ".rodata") && name != "steps" && name != "work" && spec.Maps[name] != nil {
			reuse[name] = m
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: reuse})
	if err != nil {
		tb.Fatal(needs(err))
	}
	tb.Cleanup(coll.Close)
	return coll.Programs["ebbtide"]
}

// needs says what a run without rights is missing.
func needs(err error) error {
	if errors.Is(err, unix.EPERM) {
		return errors.New("these tests load BPF programs: run them as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
	}
	return err
}

func mustSpec(tb testing.TB, o options) *ebpf.CollectionSpec {
	tb.Helper()
	load := bpf.LoadProgram
	if o.testBuild {
		load = bpftest.LoadProgram
	}
	if o.object != "" {
		load = func() (*ebpf.CollectionSpec, error) { return ebpf.LoadCollectionSpec(o.object) }
	}
	spec, err := load()
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}

// small are the maps whose full size only costs a test time.
var small = map[string]uint32{
	"listeners4": 256, "listeners6": 256, "replies4": 256, "replies6": 256, "vips": 64, "services": 16,
	"generations": 64, "maglev": 128, "generation_counters": 64, "tallies": 64,
}

func mustConfigure(tb testing.TB, spec *ebpf.CollectionSpec, layouts [2]maps.Layout, o options) {
	tb.Helper()
	bpf.WithoutTracer(spec)
	for name, entries := range small {
		spec.Maps[name].MaxEntries = entries
	}
	delete(spec.Programs, "import") // no packet comes to it, and a verifier has a lot to look at
	for _, name := range []string{"backends4", "backends6", "session_counts"} {
		spec.Maps[name].MaxEntries = max(128, o.backends)
	}
	spec.Maps["backend_counters"].MaxEntries = min(max(128, o.backends), uint32(maps.OwnCounters))
	config := bpf.ProgramConfig{Seed: o.seed, TickShift: o.tickShift, WeakOrder: bpf.WeakOrder()}
	if o.tickShift == 0 {
		config.TickShift = frozen
	}
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		config.Layouts[0][f], config.Layouts[1][f] = layouts[f], layouts[f]
		spec.Maps[names[0]].MaxEntries = maps.LinesOf(layouts[f])
		spec.Maps[names[1]].MaxEntries = maps.LinesOf(layouts[f]) * maps.Slots
	}
	set := map[string]any{"CONFIG": config}
	if o.testBuild {
		set["LEAVE_OUT"], set["STALL_LOOPS"] = uint32(o.leaveOut), o.stall
	}
	for name, value := range set {
		if err := spec.Variables[name].Set(value); err != nil {
			tb.Fatalf("set %s: %v", name, err)
		}
	}
}

// verdict is an XDP action.
type verdict uint32

const (
	aborted verdict = iota
	drop
	pass
	tx
	redirect
)

func (v verdict) String() string {
	return [...]string{"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"}[v]
}

// run sends one frame through the program and returns what became of it.
func (p *plane) run(tb testing.TB, in []byte) (verdict, []byte) {
	opts := ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+64)}
	ret, err := p.program.Run(&opts)
	if err != nil {
		tb.Fatalf("run %d bytes: %v", len(in), err)
	}
	return verdict(ret), opts.DataOut
}

// mustSweep runs one complete sweep.
func (p *plane) mustSweep(tb testing.TB) maps.Sweep {
	tb.Helper()
	s, err := p.RunSweep(p.sweeper)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// total sweeps, and adds up both families.
func (w *world) total() maps.Usage {
	w.tb.Helper()
	s := w.mustSweep(w.tb)
	if s.Missed != 0 {
		w.tb.Errorf("the sweep missed %d slots", s.Missed)
	}
	a, b := s.Tables[maps.IPv4], s.Tables[maps.IPv6]
	return maps.Usage{Used: a.Used + b.Used, Freed: a.Freed + b.Freed, Stash: a.Stash + b.Stash}
}
