// Package loader puts the data plane into the kernel and keeps it there: it loads, sizes, pins, attaches, adopts,
// upgrades and detaches. What is pinned goes on without any process; the pins are the state.
package loader

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// Names in C.
const (
	programName = "ebbtide"
	sweeperName = "sweep"
	evicterName = "evict"
	samplerName = "sample_ticks"

	importerName     = "import"
	variablesMap     = ".bss"
	configMap        = ".rodata.config"
	stepsMap         = "steps"
	workMap          = "work"
	memosMap         = "memos"
	known4Map        = "known4"
	known6Map        = "known6"
	knownReplies4Map = "known_replies4"
	knownReplies6Map = "known_replies6"
)

// ownMaps belong to one program and no other, even of the same build.
var ownMaps = []string{
	variablesMap, configMap, stepsMap, workMap, memosMap, known4Map, known6Map, knownReplies4Map, knownReplies6Map,
}

// Options says which data plane is wanted.
type Options struct {
	Dir      string               // in bpffs; created when missing, its parent must exist
	MaxFlows uint32               // flows of each family that the tables hold with the overflow idle
	Spec     *ebpf.CollectionSpec // nil: the built-in object
	Logger   *slog.Logger
}

// Plane is a data plane in the kernel. Close lets go of it and leaves it running; Detach takes it away.
type Plane struct {
	Tables  *maps.Tables
	Ticks   Ticks
	Adopted bool // it was there already

	dir     string
	log     *slog.Logger
	spec    *ebpf.CollectionSpec
	program *ebpf.Program
	sweeper *ebpf.Program
	evicter *ebpf.Program
	maps    map[string]*ebpf.Map
	sampler *ebpf.Program // of the clock
	config  bpf.ProgramConfig
}

// Open adopts the data plane pinned in the directory, or loads one and pins it there. A pinned one of another build or
// size is left running and returned as it is; Outdated tells, and Upgrade replaces it.
func Open(opt Options) (*Plane, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the memlock limit: %w", err)
	}
	if err := recoverPins(opt.Dir); err != nil {
		return nil, err
	}
	spec, err := specOf(opt)
	if err != nil {
		return nil, err
	}
	ticks, err := SampleTicks(spec)
	if err != nil {
		return nil, err
	}
	p := &Plane{dir: opt.Dir, log: opt.Logger, spec: spec, Ticks: ticks}
	if _, err := os.Stat(opt.Dir); err == nil {
		p.Adopted = true
		return p, p.adopt()
	}
	return p, p.create(opt.MaxFlows)
}

func specOf(opt Options) (*ebpf.CollectionSpec, error) {
	if opt.Spec != nil {
		return opt.Spec.Copy(), nil
	}
	spec, err := bpf.LoadProgram()
	if err != nil {
		return nil, fmt.Errorf("read the built-in object: %w", err)
	}
	return spec, nil
}

// create loads a fresh data plane and pins it in one step: everything is pinned in a directory beside, then renamed.
func (p *Plane) create(maxFlows uint32) error {
	config, err := newConfig(p.spec, maxFlows, p.Ticks)
	if err != nil {
		return err
	}
	coll, err := load(p.spec, config, nil)
	if err != nil {
		return err
	}
	defer coll.Close()
	if err := p.setLimits(coll, config); err != nil {
		return err
	}
	building := p.dir + buildingSuffix
	if err := pinAll(building, coll); err != nil {
		return errors.Join(err, os.RemoveAll(building))
	}
	if err := os.Rename(building, p.dir); err != nil {
		return errors.Join(fmt.Errorf("publish the pins as %s: %w", p.dir, err), os.RemoveAll(building))
	}
	return p.adopt()
}

// AnswersEachCPU is how many answers of each kind a CPU builds a second, where nobody says otherwise.
const AnswersEachCPU = 1000

func (p *Plane) setLimits(coll *ebpf.Collection, config bpf.ProgramConfig) error {
	vars, err := maps.VariablesOf(p.spec)
	if err != nil {
		return err
	}
	t, err := maps.New(coll.Maps, vars, layouts(config))
	if err != nil {
		return err
	}
	for _, kind := range maps.EveryLimited() {
		t.SetLimit(kind, p.Ticks.Rate(AnswersEachCPU))
	}
	return t.Close()
}

// newConfig is the configuration of a program with empty tables of a size.
func newConfig(spec *ebpf.CollectionSpec, maxFlows uint32, ticks Ticks) (bpf.ProgramConfig, error) {
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return bpf.ProgramConfig{}, fmt.Errorf("draw the hash seed: %w", err)
	}
	c := bpf.ProgramConfig{
		Protocol: protocol, Seed: binary.NativeEndian.Uint64(seed[:]), TickShift: ticks.shift, WeakOrder: bpf.WeakOrder(), Build: buildOf(spec), MaxFlows: maxFlows,
	}
	for _, f := range maps.Families() {
		l, err := maps.LayoutIn(spec, f, maxFlows)
		if err != nil {
			return c, err
		}
		c.Layouts[0][f] = l
		c.Layouts[1][f] = l
	}
	return c, nil
}

// load creates a collection of the program with a configuration. Maps in reuse take the place of new ones.
func load(spec *ebpf.CollectionSpec, config bpf.ProgramConfig, reuse map[string]*ebpf.Map) (*ebpf.Collection, error) {
	s := spec.Copy()
	bpf.WithoutTracer(s)
	for _, f := range maps.Families() {
		lines := maps.LinesOf(config.Layouts[0][f])
		s.Maps[flowMaps[f]].MaxEntries = lines
		s.Maps[coldMaps[f]].MaxEntries = lines * maps.Slots
		if config.Previous != 0 {
			old := config.Layouts[1][f]
			flows, cold := s.Maps[previousPrefix+flowMaps[f]], s.Maps[previousPrefix+coldMaps[f]]
			flows.ValueSize, flows.Value, flows.MaxEntries = old.LineBytes, nil, maps.LinesOf(old)
			cold.MaxEntries = maps.LinesOf(old) * maps.Slots
			flows.Flags, cold.Flags = s.Maps[flowMaps[f]].Flags, s.Maps[coldMaps[f]].Flags
		}
	}
	if err := s.Variables["CONFIG"].Set(config); err != nil {
		return nil, fmt.Errorf("set the program's configuration: %w", err)
	}
	coll, err := ebpf.NewCollectionWithOptions(s, ebpf.CollectionOptions{MapReplacements: reuse})
	if err != nil {
		return nil, fmt.Errorf("load the data plane: %w", err)
	}
	return coll, nil
}

const (
	tickMask = maps.TickMask
	protocol = uint32(bpf.ProgramLimitPROTOCOL)
)

var (
	flowMaps = [2]string{"flows4", "flows6"}
	coldMaps = [2]string{"cold4", "cold6"}
)

// adopt opens what is pinned.
func (p *Plane) adopt() error {
	var err error
	if p.maps, err = openMaps(filepath.Join(p.dir, mapsDir)); err != nil {
		return err
	}
	if p.program, err = openProgram(p.dir, programName); err != nil {
		return err
	}
	if p.sweeper, err = openProgram(p.dir, sweeperName); err != nil {
		return err
	}
	// A build from before it pinned none; the upgrade that follows does.
	if p.evicter, err = openProgram(p.dir, evicterName); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if p.sampler, err = openProgram(p.dir, samplerName); err != nil {
		return err
	}
	if err := p.readConfig(); err != nil {
		return err
	}
	vars, err := maps.VariablesOf(p.spec)
	if err != nil {
		return err
	}
	p.Tables, err = maps.New(p.maps, vars, layouts(p.config))
	if err != nil {
		return fmt.Errorf("adopt the data plane in %s: %w", p.dir, err)
	}
	return nil
}

// readConfig reads CONFIG of the program that runs: it lies in a map of its own.
func (p *Plane) readConfig() error {
	m := p.maps[configMap]
	if m == nil {
		return fmt.Errorf("read the configuration of the data plane in %s: map %s is not pinned; detach and start anew", p.dir, configMap)
	}
	if err := m.Lookup(uint32(0), &p.config); err != nil {
		return fmt.Errorf("read the configuration of the data plane in %s: %w", p.dir, err)
	}
	return nil
}

// Sweep runs a complete pass of the sweeper.
func (p *Plane) Sweep() (maps.Sweep, error) { return p.Tables.RunSweep(p.sweeper) }

// Evict marks at most so many sessions, and says how many.
func (p *Plane) Evict(e maps.Eviction, most uint32) (uint32, error) {
	if p.evicter == nil {
		return 0, errors.New("the program in the kernel is of a build that can't evict: reload replaces it")
	}
	return p.Tables.Evict(p.evicter, e, most)
}

// Close lets go of the data plane, which goes on.
func (p *Plane) Close() error {
	errs := []error{p.program.Close(), p.sweeper.Close(), p.evicter.Close(), p.sampler.Close(), p.Tables.Close()}
	for _, m := range p.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// layouts of the current tables.
func layouts(c bpf.ProgramConfig) [2]maps.Layout {
	return [2]maps.Layout{maps.Layout(c.Layouts[0][maps.IPv4]), maps.Layout(c.Layouts[0][maps.IPv6])}
}
