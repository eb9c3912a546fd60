package control

import (
	"context"
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// walkSlots is how many slots a walk reads before it lets sweeps and upgrades in.
const walkSlots = 1 << 16

// Flows walks the flow tables in mapped memory, piece by piece; nothing is held while a piece goes out to the client.
func (c *Controller) Flows(ctx context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
	prefix, err := filter.ClientPrefix()
	if err != nil {
		return err
	}
	c.mu.Lock()
	view := flowView{im: c.image, tables: c.plane.Tables, filter: filter, prefix: prefix, tick: c.plane.Ticks.Length()}
	c.mu.Unlock()
	if filter.Service != "" {
		if _, ok := view.im.ServiceNamed(filter.Service); !ok {
			return api.Errorf(api.NotFound, "service %s: there is none of this name", filter.Service)
		}
	}
	for _, f := range kernel.Families() {
		for first, last := uint32(0), uint32(0); ; first = last {
			piece, end, err := c.piece(view, f, first)
			if err != nil {
				return err
			}
			for _, flow := range piece {
				if err := yield(flow); err != nil {
					return err
				}
			}
			if last = end; first == last || ctx.Err() != nil {
				break
			}
		}
	}
	return ctx.Err()
}

// piece reads the slots from first on, and says where it ended.
func (c *Controller) piece(view flowView, f kernel.Family, first uint32) ([]api.Flow, uint32, error) {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	if c.plane.Tables != view.tables {
		return nil, 0, api.Errorf(api.Unavailable, "the flow tables were replaced meanwhile: ask again")
	}
	now, err := c.plane.Now()
	if err != nil {
		return nil, 0, err
	}
	end := min(first+walkSlots, view.tables.SlotCount(f))
	var out []api.Flow
	for slot := first; slot < end; slot++ {
		if flow, ok := view.tables.Flow(f, slot); ok {
			if shown, ok := view.flow(flow, now); ok {
				out = append(out, shown)
			}
		}
	}
	return out, end, nil
}

type flowView struct {
	im     *image.Image
	tables *kernel.Tables
	filter api.FlowFilter
	prefix netip.Prefix
	tick   time.Duration
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
		Generation:  api.GenerationRef{Number: gen.Number, Colour: image.ColourName(gen.Colour), Version: gen.Version},
		AgeSeconds:  v.seconds((now - f.Start) & kernel.TickMask),
		IdleSeconds: v.seconds(silence(now, f.Seen)),
	}, true
}

func (v flowView) seconds(ticks uint32) uint32 {
	return uint32((time.Duration(ticks) * v.tick).Seconds())
}

// silence in ticks; one that is ahead of the clock that was read counts as none.
func silence(now, seen uint32) uint32 {
	d := (now - seen) & kernel.TickMask
	if d > kernel.TickMask/2 {
		return 0
	}
	return d
}
