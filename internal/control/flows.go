package control

import (
	"context"
	"net/netip"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Flows walks the flow tables in mapped memory. The lock is not held: what the walk shows of generations is the image of
// its begin.
func (c *Controller) Flows(ctx context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
	prefix, err := filter.ClientPrefix()
	if err != nil {
		return err
	}
	c.mu.Lock()
	view := flowView{im: c.image, tables: c.plane.Tables, filter: filter, prefix: prefix}
	now, err := c.plane.Now()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if filter.Service != "" {
		if _, ok := view.im.ServiceNamed(filter.Service); !ok {
			return api.Errorf(api.NotFound, "service %s: there is none of this name", filter.Service)
		}
	}
	length := c.plane.Ticks.Length().Seconds()
	for f := range c.plane.Tables.Flows() {
		out, ok := view.flow(f, now)
		if !ok {
			continue
		}
		out.AgeSeconds = uint32(float64((now-f.Start)&kernel.TickMask) * length)
		out.IdleSeconds = uint32(float64(silence(now, f.Seen)) * length)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(out); err != nil {
			return err
		}
	}
	return nil
}

type flowView struct {
	im     *image.Image
	tables *kernel.Tables
	filter api.FlowFilter
	prefix netip.Prefix
}

// flow is one flow in the API's words; false when the filter holds it back or it has expired.
func (v flowView) flow(f kernel.Flow, now uint32) (api.Flow, bool) {
	b := v.im.Backends[f.Backend]
	gen := v.im.Generations[b.Generation]
	name := v.im.Services[b.Service].Name
	proto := v.im.VIPs[f.VIP].Protocol
	switch {
	case v.prefix.IsValid() && !v.prefix.Contains(f.Client.Addr()),
		v.filter.Service != "" && name != v.filter.Service,
		v.filter.Generation != 0 && gen.Number != v.filter.Generation,
		v.filter.State != "" && kernel.StateName(f.State) != v.filter.State,
		silence(now, f.Seen) > b.Timeouts.For(proto, f.State):
		return api.Flow{}, false
	}
	backend := ""
	if a := b.Addrs[f.Family]; a.IsValid() {
		backend = a.String()
	}
	return api.Flow{
		Service: name, Family: familyName(f.Family), Protocol: protocolName(proto), Client: f.Client.String(),
		VIP: v.im.VIPs[f.VIP].Addr.String(), Port: f.Port, Backend: backend, State: kernel.StateName(f.State),
		Generation: api.GenerationRef{Number: gen.Number, Colour: image.ColourName(gen.Colour), Version: gen.Version},
	}, true
}

// silence in ticks; one that is ahead of the clock that was read counts as none.
func silence(now, seen uint32) uint32 {
	d := (now - seen) & kernel.TickMask
	if d > kernel.TickMask/2 {
		return 0
	}
	return d
}
