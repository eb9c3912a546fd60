// Package metrics shows what the kernel counts to Prometheus. It keeps no
// count of its own: everything is read when it is scraped.
package metrics

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// write puts figures on a page.
func write(f Figures) []byte {
	p := &page{buf: make([]byte, 0, 1<<10*(1+len(f.Generations)))}
	p.generations(f.Generations)
	p.backends(f)
	p.releases(f)
	p.reasons(f.Reasons)
	p.host(f)
	return p.buf
}

func (p *page) generations(all []Generation) {
	labels := make([]string, len(all)) // the same for every metric
	for i, g := range all {
		labels[i] = joined(label("colour", g.Colour), generationLabels(g))
	}
	for _, m := range perGeneration() {
		for i, g := range all {
			p.count(m.desc, labels[i], m.of(g))
		}
	}
	for i, g := range all {
		p.count(sessions, labels[i]+`,state="half_open"`, g.Sessions.HalfOpen)
		p.count(sessions, labels[i]+`,state="young"`, g.Sessions.Young)
		p.count(sessions, labels[i]+`,state="established"`, g.Sessions.Established)
		p.count(sessions, labels[i]+`,state="closing"`, g.Sessions.Closing)
		p.count(sessions, labels[i]+`,state="lingering"`, g.Sessions.Lingering)
		p.count(sessions, labels[i]+`,state="evicting"`, g.Sessions.Evicting)
	}
	for _, g := range all {
		if flippedAway(g.State) {
			p.count(newAfterFlip, generationLabels(g), g.NewSinceFlip)
		}
	}
	for i, g := range all {
		p.count(generationInfo, joined(labels[i], label("state", g.State), label("version", g.Version)), 1)
	}
	for _, g := range all {
		for _, role := range g.Roles {
			p.count(generationRole, joined(label("colour", g.Colour), label("generation", strconv.FormatUint(uint64(g.Number), 10)),
				label("role", role), label("service", g.Service), label("version", g.Version)), 1)
		}
	}
}

func generationLabels(g Generation) string {
	return joined(label("generation", strconv.FormatUint(uint64(g.Number), 10)), label("service", g.Service))
}

// flippedAway says that a generation was live and is no more.
func flippedAway(state string) bool {
	return state == api.StateDraining || state == api.StateDrained || state == api.StateInconclusive
}

// backend is one with its labels.
type backend struct {
	api.Backend
	labels string
}

func (p *page) backends(f Figures) {
	var all []backend
	for _, g := range f.Generations {
		of := generationLabels(g)
		for _, b := range g.Backends {
			all = append(all, backend{b, joined(label("backend", nameOf(b)), of)})
		}
	}
	listed := len(all)
	for _, b := range all {
		p.count(backendSessions, b.labels, b.Sessions)
	}
	counted := slices.DeleteFunc(slices.Clone(all), func(b backend) bool { return !b.Counted })
	for _, b := range counted {
		p.count(backendPackets, b.labels, b.Packets)
	}
	for _, b := range counted {
		p.count(backendBytes, b.labels, b.Bytes)
	}
	p.health(all)
	p.hops(all)
	p.occupancy(all)
	p.count(backendsUnlisted, "", uint64(f.Backends-listed))
}

// health is of those that are asked for it.
func (p *page) health(all []backend) {
	for _, b := range all {
		if h := b.Health; h != nil {
			p.count(backendHealthy, b.labels, map[bool]uint64{true: 1}[h.Well])
		}
	}
}

// hops is of those that packets go to.
func (p *page) hops(all []backend) {
	for _, b := range all {
		if len(b.NextHops) > 0 {
			away := slices.ContainsFunc(b.NextHops, func(h api.NextHop) bool { return h.State != api.HopResolved })
			p.count(backendReached, b.labels, map[bool]uint64{false: 1}[away])
		}
	}
}

func (p *page) releases(f Figures) {
	for _, r := range f.Releases {
		p.add(releaseSince, joined(releaseLabels(r.Number, r.Service), label("state", r.State), label("strategy", r.Strategy)),
			float64(r.Since.UnixMilli())/1000)
	}
	for _, g := range f.Gates {
		p.count(gateVerdict, joined(label("gate", g.Gate), label("on_fail", g.OnFail), releaseLabels(g.Release, g.Service),
			label("verdict", g.Verdict)), 1)
	}
}

func releaseLabels(number uint32, service string) string {
	return joined(label("release", strconv.FormatUint(uint64(number), 10)), label("service", service))
}

// occupancy is of those that tell it.
func (p *page) occupancy(all []backend) {
	for _, b := range all {
		if o := b.Occupancy; o != nil && o.Players != nil {
			p.count(backendPlayers, b.labels, *o.Players)
		}
	}
	for _, b := range all {
		if o := b.Occupancy; o != nil && o.Free != nil {
			p.count(backendFree, b.labels, *o.Free)
		}
	}
}

// nameOf a backend is what makes it one of its generation: its addresses, and its port when it has one of its own.
func nameOf(b api.Backend) string {
	name := strings.Join(b.Addresses, ",")
	if b.Port != 0 {
		name += " port " + strconv.Itoa(int(b.Port))
	}
	return name
}

func (p *page) reasons(counts map[string]uint64) {
	names := slices.Sorted(maps.Keys(counts))
	for _, of := range []struct {
		kind string
		desc desc
	}{{"drop_", drops}, {"pass_", passes}, {"event_", events}} {
		for _, name := range names {
			if rest, ok := strings.CutPrefix(name, of.kind); ok {
				p.count(of.desc, label(of.desc.labels[0], rest), counts[name])
			}
		}
	}
}

func (p *page) host(f Figures) {
	p.count(tableMaxFlows, "", uint64(f.MaxFlows))
	for _, m := range []struct {
		desc desc
		of   func(Table) uint64
	}{
		{tableSlots, func(t Table) uint64 { return t.Slots }},
		{tableUsed, func(t Table) uint64 { return t.Used }},
		{tableOverflow, func(t Table) uint64 { return t.Overflow }},
		{tableProbe, func(t Table) uint64 { return uint64(t.LongestProbe) }},
	} {
		for _, t := range f.Tables {
			p.count(m.desc, label("family", t.Family), m.of(t))
		}
	}
	for _, i := range f.Interfaces {
		p.count(interfaceAttached, label("interface", i.Name), map[bool]uint64{true: 1}[i.Attached])
	}
	for _, i := range f.Interfaces {
		p.count(interfaceGeneric, label("interface", i.Name), map[bool]uint64{true: 1}[i.Mode == api.ModeGeneric])
	}
	p.add(clockSet, "", f.ClockSet.Seconds())
	p.add(sweepSeconds, "", f.SweepSeconds)
	if !f.LastSweep.IsZero() {
		p.add(lastSweep, "", float64(f.LastSweep.UnixMilli())/1000)
	}
}
