package control

import (
	"context"
	"log/slog"
	"math"
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
	known   func(netip.Addr) (nexthop.Hop, bool) // the watcher's last word
	log     *slog.Logger
	changed func(service uint16) // hears of each service whose hop has changed

	mu        sync.Mutex
	users     map[netip.Addr][]user
	inherited map[user]bool // the kernel has their hop from the daemon before, and nothing is known that says otherwise
}

// user is a backend that an address belongs to.
type user struct {
	family kernel.Family
	id     uint16
	mode   kernel.Forwarding

	service uint16 // index
}

// Headers that ipip puts before a packet, by the family of the backend's address.
var outerHeader = [2]int{kernel.IPv4: 20, kernel.IPv6: 40}

func newHops(plane *loader.Plane, log *slog.Logger, changed func(service uint16)) (*hops, error) {
	h := &hops{plane: plane, log: log, changed: changed, users: map[netip.Addr][]user{}}
	var err error
	if h.watcher, err = nexthop.New(nexthop.Options{Logger: log, Notify: func(addr netip.Addr, _ nexthop.Hop) { h.hear(addr) }}); err != nil {
		return nil, err
	}
	h.known = h.watcher.Get
	return h, nil
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
			users[addr] = append(users[addr], user{f, id, b.Forwarding, b.Service})
			if _, other := modes[addr]; b.Forwarding != kernel.DSR || !other {
				modes[addr] = modeFor(b.Forwarding)
			}
		}
	}
	h.mu.Lock()
	if h.users = users; h.inherited == nil {
		h.inherit()
	}
	h.mu.Unlock()
	h.watcher.Set(modes, interfaces...)
	for addr := range users {
		h.write(addr)
	}
}

// inherit notes which hops are in the kernel when the daemon starts. The kernel's neighbour table may have forgotten those
// meanwhile, since it does not see that XDP sends to them: to ask for them anew is no reason to drop packets.
func (h *hops) inherit() {
	h.inherited = map[user]bool{}
	for _, users := range h.users {
		for _, u := range users {
			if _, resolved := h.plane.Tables.Hop(u.family, u.id); resolved {
				h.inherited[u] = true
			}
		}
	}
}

// hear takes a change in.
func (h *hops) hear(addr netip.Addr) {
	h.write(addr)
	h.mu.Lock()
	users := h.users[addr]
	h.mu.Unlock()
	for _, u := range users {
		h.changed(u.service)
	}
}

// lose tells the program which backends are lost, and which are no more. Those with a way are not: they were found again
// after it was decided.
func (h *hops) lose(im *image.Image) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.plane.Tables
	for id, b := range im.Backends {
		for _, f := range kernel.Families() {
			switch _, resolved := t.Hop(f, id); {
			case resolved || b.Lost[f] == t.Lost(f, id):
			case b.Lost[f]:
				t.LoseBackend(f, id)
			default:
				t.SetHop(f, id, kernel.Hop{})
			}
		}
	}
}

// write brings what is known of one address into the kernel. What is there already is not written again. It asks under the
// lock: who asks before it may write an old word over a newer one, which nobody would say again.
func (h *hops) write(addr netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hop, known := h.known(addr)
	if !known {
		return
	}
	for _, u := range h.users[addr] {
		have, resolved := h.plane.Tables.Hop(u.family, u.id)
		if hop.Asking && h.inherited[u] && have.IfIndex == uint32(hop.Below) {
			continue
		}
		delete(h.inherited, u)
		to, usable := u.hop(addr, hop)
		if resolved != usable || resolved && have != to {
			h.plane.Tables.SetHop(u.family, u.id, to)
			h.log.Info("next hop", "backend", addr, "hop", hop.String())
		}
	}
}

// hop is what the data plane has to know of a way, for the mode of this backend.
func (u user) hop(addr netip.Addr, way nexthop.Hop) (kernel.Hop, bool) {
	if way.State != nexthop.Resolved || u.mode == kernel.DSR && way.Gateway.IsValid() {
		return kernel.Hop{}, false
	}
	room := min(way.MTU, math.MaxUint16-1)
	if u.mode == kernel.IPIP {
		room = max(1, room-outerHeader[familyOf(addr)])
	}
	return kernel.Hop{
		IfIndex: uint32(way.Below), SrcMAC: way.SrcMAC, DstMAC: way.DstMAC, Tags: way.Tags, Room: uint16(room),
	}, true
}

// modeFor says which ways a mode may go. An address that has backends of several modes goes the way of the widest; hop
// keeps those of dsr from going through a gateway.
func modeFor(f kernel.Forwarding) nexthop.Mode {
	if f == kernel.DSR {
		return nexthop.OnLink
	}
	return nexthop.Routed
}

// while runs f with no next hop being written: f may replace the tables.
func (h *hops) while(f func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return f()
}

// get is what is known of an address.
func (h *hops) get(addr netip.Addr) nexthop.Hop {
	hop, _ := h.known(addr)
	return hop
}
