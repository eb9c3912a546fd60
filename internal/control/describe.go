package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// plan says in words how the image that is wanted differs from the one that is there, and what changes beside it.
func (c *Controller) plan(cfg *config.Config, want *image.Image, notes []string) (api.Plan, error) {
	d := newDescriber(c.image, want)
	if have := c.plane.MaxFlows(); have != cfg.MaxFlows {
		d.add("", "max_flows from %d to %d: the flow tables are replaced, and every flow is taken along", have, cfg.MaxFlows)
	} else if c.plane.Outdated(cfg.MaxFlows) {
		d.add("", "the program in the kernel is of another build: it is replaced, and every flow is kept")
	}
	if err := c.planInterfaces(cfg, d); err != nil {
		return api.Plan{}, err
	}
	set, err := c.settingsOf(cfg)
	if err != nil {
		return api.Plan{}, err
	}
	d.settings(c.settings(), set)
	c.planLosses(cfg, d)
	c.planGroups(cfg, d)
	c.planWeb(cfg, d)
	if err := c.planFreezes(cfg, d); err != nil {
		return api.Plan{}, err
	}
	c.planRemote(cfg, d)
	for index := range union(d.have.Services, d.want.Services) {
		d.service(index)
	}
	for _, note := range notes {
		d.add("", "%s", note)
	}
	slices.SortStableFunc(d.changes, func(a, b api.Change) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.What, b.What))
	})
	return api.Plan{Changes: d.changes}, nil
}

type describer struct {
	have, want *image.Image
	changes    []api.Change
	backends   map[uint16][]uint16        // that differ, by service
	listeners  map[uint16][]kernel.Socket // that differ, by service
	merged     map[uint16][]kernel.Socket // that fall to the listener of all ports, by service
	testers    map[uint16][]string        // what changes of them, by service
}

func newDescriber(have, want *image.Image) *describer {
	d := &describer{
		have: have, want: want, backends: map[uint16][]uint16{},
		listeners: map[uint16][]kernel.Socket{}, merged: map[uint16][]kernel.Socket{},
		testers: testerChanges(have, want),
	}
	for id, is := range want.Backends {
		if was, had := have.Backends[id]; !had || was != is {
			d.backends[is.Service] = append(d.backends[is.Service], id)
		}
	}
	for socket, is := range want.Listeners {
		if was, had := have.Listeners[socket]; is.Kind != kernel.Mark && (!had || was != is) {
			d.listeners[is.Service] = append(d.listeners[is.Service], socket)
		}
	}
	for socket, was := range have.Listeners {
		if _, stays := want.Listeners[socket]; !stays && was.Kind == kernel.Open {
			d.merged[was.Service] = append(d.merged[was.Service], socket)
		}
	}
	return d
}

func (d *describer) add(service, format string, args ...any) {
	d.changes = append(d.changes, api.Change{Service: service, What: fmt.Sprintf(format, args...)})
}

func (d *describer) service(index uint16) {
	was, had := d.have.Services[index]
	is := d.want.Services[index]
	switch {
	case !had:
		d.add(is.Name, "new service, %s", forwardingName(is.Forwarding))
	case was.ReuseAfter != is.ReuseAfter:
		d.add(is.Name, "reuse_after from %d to %d ticks", was.ReuseAfter, is.ReuseAfter)
	}
	if had && was.Affinity != is.Affinity {
		d.add(is.Name, "new affinity, for flows that begin after it")
	}
	if had && was.ClampMSS != is.ClampMSS {
		d.add(is.Name, "mss from %s to %s", mssName(was.ClampMSS), mssName(is.ClampMSS))
	}
	if had && (was.NewFlows != is.NewFlows || was.HalfOpen != is.HalfOpen) {
		d.add(is.Name, "new limits, for flows that begin after it")
	}
	if was.Steer.Live != is.Steer.Live && is.Steer.Live != 0 {
		d.add(is.Name, "generation %d goes live", d.want.Generations[is.Steer.Live].Number)
	}
	d.release(index, is.Name)
	d.generations(index, is.Name)
	d.backendsOf(index, is.Name)
	d.listenersOf(index, is.Name)
}

func mssName(clamped bool) config.MSS {
	if clamped {
		return config.MSSAuto
	}
	return config.MSSKeep
}

func (d *describer) generations(service uint16, name string) {
	for _, g := range d.want.GenerationsOf(service) {
		was, had := d.have.Generations[g]
		is := d.want.Generations[g]
		switch {
		case !had:
			d.add(name, "new generation %d on %s: version %s", is.Number, image.ColourName(is.Colour), is.Version)
		case was.Colour != is.Colour:
			d.add(name, "generation %d (version %s) leaves %s: it keeps its sessions and takes no new ones", is.Number, is.Version, image.ColourName(was.Colour))
		}
	}
}

func (d *describer) backendsOf(service uint16, name string) {
	for _, id := range d.backends[service] {
		was, had := d.have.Backends[id]
		is := d.want.Backends[id]
		number := d.want.Generations[is.Generation].Number
		switch {
		case !had:
			d.add(name, "generation %d: new backend %s, weight %d", number, addresses(is), is.Weight)
		case was.Use != is.Use && is.Use == kernel.Removed:
			d.add(name, "generation %d: backend %s is removed: it keeps its sessions and takes no new ones", number, addresses(is))
		case was.Use != is.Use:
			d.add(name, "generation %d: backend %s comes back, weight %d", number, addresses(is), is.Weight)
		case was.Weight != is.Weight:
			d.add(name, "generation %d: backend %s: weight from %d to %d", number, addresses(is), was.Weight, is.Weight)
		}
	}
	if was, had := d.have.Services[service]; had && was.Timeouts != d.want.Services[service].Timeouts {
		d.add(name, "new timeouts, for the flows that are there too")
	}
}

func (d *describer) listenersOf(service uint16, name string) {
	opened, closed, merged := map[uint16]kernel.Socket{}, map[uint16]kernel.Socket{}, map[uint16]kernel.Socket{}
	for _, socket := range d.listeners[service] {
		to := opened
		if d.want.Listeners[socket].Kind == kernel.Closed {
			to = closed
		}
		id := d.want.Listeners[socket].ID
		to[id] = lower(to, id, socket)
	}
	for _, socket := range d.merged[service] {
		id := d.have.Listeners[socket].ID
		merged[id] = lower(merged, id, socket)
	}
	for _, s := range opened {
		d.add(name, "listener %s", fromPort(s))
	}
	for _, s := range closed {
		d.add(name, "listener %s is removed: its flows go on, new ones are refused", fromPort(s))
	}
	for _, s := range merged {
		d.add(name, "listener %s falls to that of all ports: its flows go on", fromPort(s))
	}
}

func fromPort(s kernel.Socket) string {
	if s.Port == 0 {
		return fmt.Sprintf("%s %s of all ports", s.Addr, protocolName(s.Protocol))
	}
	return fmt.Sprintf("%s %s from port %d", s.Addr, protocolName(s.Protocol), s.Port)
}

func lower(m map[uint16]kernel.Socket, id uint16, s kernel.Socket) kernel.Socket {
	if have, there := m[id]; there && have.Port < s.Port {
		return have
	}
	return s
}

func addresses(b image.Backend) string {
	out := ""
	for _, f := range kernel.Families() {
		if a := b.Addrs[f]; a.IsValid() && (f == kernel.IPv4 || a != b.Addrs[kernel.IPv4]) {
			if out != "" {
				out += "+"
			}
			out += a.String()
		}
	}
	if b.Port != 0 {
		out += fmt.Sprintf(" port %d", b.Port)
	}
	return out
}

func union[K comparable, V any](a, b map[K]V) map[K]bool {
	out := map[K]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
