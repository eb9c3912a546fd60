package main

import (
	"fmt"
	stdmaps "maps"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// plane is a data plane, attached to nothing, in which the services of services.go are up.
type plane struct {
	*maps.Tables
	coll *ebpf.Collection
}

// size says what a plane is loaded for.
type size struct {
	maxFlows uint32   // of the IPv4 table; the IPv6 table is small
	hash     uint32   // room of the kernel HASH
	crowd    int      // services beside those that the rows are about
	only     []string // wrappers that are loaded; nil: all
}

func newPlane(spec *ebpf.CollectionSpec, s size) (*plane, error) {
	config := bpf.ProgramConfig{Seed: 0x243f6a8885a308d3, MaxFlows: s.maxFlows}
	shift, err := tickShift(spec)
	if err != nil {
		return nil, err
	}
	config.TickShift = shift
	var layouts [2]maps.Layout
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		layouts[f] = maps.LayoutFor(maps.Family(f), []uint32{s.maxFlows, 1024}[f])
		config.Layouts[0][f], config.Layouts[1][f] = layouts[f], layouts[f]
		spec.Maps[names[0]].MaxEntries = maps.LinesOf(layouts[f])
		spec.Maps[names[1]].MaxEntries = maps.LinesOf(layouts[f]) * maps.Slots
	}
	set := map[string]any{
		"CONFIG": config, "ORIGINALS": originals(), "ORIGINALS6": originals6(),
		"FIRST_VIP": hostOrder(crowdVIP(0)), "FIRST_PORT": uint16(crowdPort),
	}
	if hash := spec.Maps["hash4"]; hash != nil {
		hash.MaxEntries = s.hash
		set["VIP"], set["FIRST"], set["BACKENDS"] = uint32(relay.vip), uint32(relay.first), uint32(backends)
	}
	for name, value := range set {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	if s.only != nil {
		shipped, err := bpf.LoadProgram()
		if err != nil {
			return nil, fmt.Errorf("read the built-in object: %w", err)
		}
		stdmaps.DeleteFunc(spec.Programs, func(name string, _ *ebpf.ProgramSpec) bool {
			return shipped.Programs[name] == nil && !slices.Contains(s.only, name)
		})
	}
	return loadPlane(spec, layouts, s.crowd)
}

func loadPlane(spec *ebpf.CollectionSpec, layouts [2]maps.Layout, crowd int) (*plane, error) {
	vars, err := maps.VariablesOf(spec)
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the data plane: %w", err)
	}
	tables, err := maps.New(coll.Maps, vars, layouts)
	if err != nil {
		coll.Close()
		return nil, err
	}
	p := &plane{Tables: tables, coll: coll}
	if err := p.setUp(crowd); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *plane) close() {
	p.Tables.Close()
	p.coll.Close()
}

// establish makes every flow an established one, as ten seconds of traffic would.
func (p *plane) establish() (flows int) {
	for _, f := range maps.Families() {
		for slot := range p.SlotCount(f) {
			if m := p.Meta(f, slot); m.State() != maps.Free {
				p.SwapMeta(f, slot, m, m-maps.Meta(m.State())+maps.Meta(maps.Established))
				flows++
			}
		}
	}
	return flows
}

// forget empties the tables.
func (p *plane) forget() {
	for _, f := range maps.Families() {
		for slot := range p.SlotCount(f) {
			if m := p.Meta(f, slot); m != 0 {
				p.SwapMeta(f, slot, m, 0)
			}
		}
	}
}

// tickShift makes a tick of about a second, as the loader does: it counts jiffies for a while.
func tickShift(spec *ebpf.CollectionSpec) (uint32, error) {
	only := &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{"sample_ticks": spec.Programs["sample_ticks"].Copy()},
	}
	coll, err := ebpf.NewCollection(only)
	if err != nil {
		return 0, fmt.Errorf("load the clock sampler: %w", err)
	}
	defer coll.Close()
	var samples [2]bpf.ProgramTickSample
	for i := range samples {
		opts := ebpf.RunOptions{Context: &samples[i], ContextOut: &samples[i]}
		if _, err := coll.Programs["sample_ticks"].Run(&opts); err != nil {
			return 0, fmt.Errorf("sample the clock: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	elapsed := time.Duration(samples[1].BootNs - samples[0].BootNs)
	hz := float64(samples[1].Jiffies-samples[0].Jiffies) / elapsed.Seconds()
	shift := uint32(0)
	for float64(uint32(1)<<shift) < hz/1.4 {
		shift++
	}
	return shift, nil
}

func hostOrder(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
