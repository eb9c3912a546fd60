package control

import (
	"context"

	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// A walk through the flow tables goes in pieces. A piece ends after so many slots, so that sweeps and upgrades get in, and
// after so many flows, so that the memory for them does not grow with the listing.
const (
	pieceSlots = 1 << 18
	pieceFlows = 1 << 10
)

// Flows walks the flow tables in mapped memory, piece by piece; nothing is held while a piece goes out to the client.
func (c *Controller) Flows(ctx context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
	c.mu.Lock()
	tables, im := c.plane.Tables, c.image
	c.mu.Unlock()
	view, err := newFlowView(im, filter, c.plane.Ticks.Length())
	if err != nil {
		return err
	}
	return view.walk(ctx, tables, c.pieces(tables), yield)
}

// errTablesReplaced is why a walk through the flow tables ended too early.
var errTablesReplaced = api.Errorf(api.Unavailable, "the flow tables were replaced meanwhile: ask again")

// pieces lets sweeps and upgrades in between two pieces. An upgrade may have replaced the tables by then.
func (c *Controller) pieces(tables *kernel.Tables) func(read func(now uint32)) error {
	return func(read func(now uint32)) error {
		c.sweeping.Lock()
		defer c.sweeping.Unlock()
		if c.plane.Tables != tables {
			return errTablesReplaced
		}
		now, err := c.plane.Now()
		if err != nil {
			return err
		}
		read(now)
		return nil
	}
}

// walk yields the flows of both tables that the filter lets through. Each piece is read inside of piece.
func (v *flowView) walk(ctx context.Context, tables *kernel.Tables, piece func(read func(now uint32)) error, yield func(api.Flow) error) error {
	found := make([]api.Flow, 0, pieceFlows)
	for _, f := range kernel.Families() {
		for next, end := uint32(0), tables.SlotCount(f); next < end; {
			err := piece(func(now uint32) {
				found = found[:0]
				next = tables.Scan(f, next, min(next+pieceSlots, end), kernel.Wanted{Meta: v.wanted, Client: v.prefix}, func(flow kernel.Flow) bool {
					if shown, ok := v.flow(flow, now); ok {
						found = append(found, shown)
					}
					return len(found) < pieceFlows
				})
			})
			if err != nil {
				return err
			}
			for _, flow := range found {
				if err := yield(flow); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
