package control

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/loader/nexthop"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// hops keeps the next hop of every backend in the kernel up to date.
type hops struct {
	plane   *loader.Plane
	watcher *nexthop.Watcher
	log     *slog.Logger

	mu    sync.Mutex
	users map[netip.Addr][]user
}

// user is a backend that an address belongs to.
type user struct {
	family kernel.Family
	id     uint16
}

func newHops(plane *loader.Plane, log *slog.Logger) (*hops, error) {
	h := &hops{plane: plane, log: log, users: map[netip.Addr][]user{}}
	var err error
	h.watcher, err = nexthop.New(nexthop.Options{Logger: log, Notify: h.write})
	return h, err
}

func (h *hops) run(ctx context.Context) error { return h.watcher.Run(ctx) }

func (h *hops) close() { h.watcher.Close() }

// want follows the backends of an image, on ways out by these interfaces. Those that are followed already are written at
// once: an id may be new.
func (h *hops) want(im *image.Image, interfaces []string) {
	users, modes := map[netip.Addr][]user{}, map[netip.Addr]nexthop.Mode{}
	for id, b := range im.Backends {
		for _, f := range kernel.Families() {
			addr := b.Addrs[f]
			if !addr.IsValid() {
				continue
			}
			users[addr] = append(users[addr], user{f, id})
			modes[addr] = nexthop.Routed
			if b.Forwarding == kernel.DSR {
				modes[addr] = nexthop.OnLink
			}
		}
	}
	h.mu.Lock()
	h.users = users
	h.mu.Unlock()
	h.watcher.Set(modes, interfaces...)
	for addr := range users {
		if hop, known := h.watcher.Get(addr); known {
			h.write(addr, hop)
		}
	}
}

// write brings one next hop into the kernel. What is there already is not written again.
func (h *hops) write(addr netip.Addr, hop nexthop.Hop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var to kernel.Hop
	if hop.State == nexthop.Resolved {
		to = kernel.Hop{IfIndex: uint32(hop.IfIndex), SrcMAC: hop.SrcMAC, DstMAC: hop.DstMAC}
	}
	for _, u := range h.users[addr] {
		have, resolved := h.plane.Tables.Hop(u.family, u.id)
		if resolved != (hop.State == nexthop.Resolved) || resolved && have != to {
			h.plane.Tables.SetHop(u.family, u.id, to)
			h.log.Info("next hop", "backend", addr, "hop", hop.String())
		}
	}
}

// while runs f with no next hop being written: f may replace the tables.
func (h *hops) while(f func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return f()
}

// get is what is known of an address.
func (h *hops) get(addr netip.Addr) nexthop.Hop {
	hop, _ := h.watcher.Get(addr)
	return hop
}
