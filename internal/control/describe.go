package control

import (
	"fmt"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// plan says in words how the image that is wanted differs from the one that is there, and what changes beside it.
func (c *Controller) plan(cfg *config.Config, want *image.Image, notes []string) (api.Plan, error) {
	d := describer{have: c.image, want: want}
	if have := c.plane.MaxFlows(); have != cfg.MaxFlows {
		d.add("", "max_flows from %d to %d: the flow tables are replaced, and every flow is taken along", have, cfg.MaxFlows)
	} else if c.plane.Outdated(cfg.MaxFlows) {
		d.add("", "the program in the kernel is of another build: it is replaced, and every flow is kept")
	}
	if err := c.planInterfaces(cfg, &d); err != nil {
		return api.Plan{}, err
	}
	for index := range union(d.have.Services, d.want.Services) {
		d.service(index)
	}
	for _, note := range notes {
		d.add("", "%s", note)
	}
	slices.SortStableFunc(d.changes, func(a, b api.Change) int {
		return slices.Compare([]string{a.Service, a.What}, []string{b.Service, b.What})
	})
	return api.Plan{Changes: d.changes}, nil
}

type describer struct {
	have, want *image.Image
	changes    []api.Change
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
	case was.Service != is.Service:
		d.add(is.Name, "reuse_after from %d to %d ticks", was.ReuseAfter, is.ReuseAfter)
	}
	if was.Steer.Live != is.Steer.Live && is.Steer.Live != 0 {
		d.add(is.Name, "generation %d goes live", d.want.Generations[is.Steer.Live].Number)
	}
	d.generations(index, is.Name)
	d.backends(index, is.Name)
	d.listeners(index, is.Name)
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

func (d *describer) backends(service uint16, name string) {
	timeouts := false
	for id := range union(d.have.Backends, d.want.Backends) {
		was, had := d.have.Backends[id]
		is := d.want.Backends[id]
		if is.Service != service {
			continue
		}
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
		timeouts = timeouts || had && was.Timeouts != is.Timeouts
	}
	if timeouts {
		d.add(name, "new timeouts, for the flows that are there too")
	}
}

func (d *describer) listeners(service uint16, name string) {
	opened, closed := map[uint16]kernel.Socket{}, map[uint16]kernel.Socket{}
	for socket := range union(d.have.Listeners, d.want.Listeners) {
		was, had := d.have.Listeners[socket]
		is := d.want.Listeners[socket]
		switch {
		case is.Service != service || is.Kind == kernel.Mark || had && was == is:
		case is.Kind == kernel.Closed:
			closed[is.ID] = lower(closed, is.ID, socket)
		default:
			opened[is.ID] = lower(opened, is.ID, socket)
		}
	}
	for _, s := range opened {
		d.add(name, "listener %s %s from port %d", s.Addr, protocolName(s.Protocol), s.Port)
	}
	for _, s := range closed {
		d.add(name, "listener %s %s from port %d is removed: its flows go on, new ones are refused", s.Addr, protocolName(s.Protocol), s.Port)
	}
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
		if a := b.Addrs[f]; a.IsValid() {
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
