package nexthop

import (
	"net/netip"
	"slices"
	"time"
)

// target is one wanted address.
type target struct {
	mode Mode
	path path
	hop  Hop
	told bool // Notify has had hop
}

// adopt makes the targets what Set asked for.
func (w *Watcher) adopt() {
	w.mu.Lock()
	wanted := w.wanted
	w.mu.Unlock()
	for addr := range w.targets {
		if _, ok := wanted.addrs[addr]; !ok {
			w.drop(addr)
		}
	}
	if !slices.Equal(w.via, wanted.via) {
		w.via = wanted.via
		w.rerouteAll()
	}
	for addr, mode := range wanted.addrs {
		t := w.targets[addr]
		if t == nil {
			t = &target{mode: mode}
			w.targets[addr] = t
			w.unrouted[addr] = struct{}{}
		}
		if t.mode != mode {
			t.mode = mode
			w.unrouted[addr] = struct{}{}
		}
	}
}

func (w *Watcher) drop(addr netip.Addr) {
	w.leave(addr, w.targets[addr].path)
	delete(w.targets, addr)
	delete(w.unrouted, addr)
	delete(w.unsettled, addr)
	w.mu.Lock()
	delete(w.hops, addr)
	w.mu.Unlock()
}

// rerouteAll has every route looked up again, once for all the events that ask
// for it together.
func (w *Watcher) rerouteAll() { w.stale = true }

func (w *Watcher) markStale() {
	for addr := range w.targets {
		w.unrouted[addr] = struct{}{}
	}
	w.stale = false
}

// turn is how many routes are looked up before events are taken in again: each
// of a thousand VIPs that come may ask for all of them.
const turn = 64

// settle looks up the routes that may have changed, works out the hops that
// may have, and tells those that did. It leaves the rest for later when events
// wait.
func (w *Watcher) settle(waiting func() bool) {
	now := time.Now()
	if w.stale && (len(w.unrouted) == 0 || !waiting()) {
		w.markStale()
	}
	done := 0
	for addr := range w.unrouted {
		if done++; done > turn && waiting() {
			break
		}
		delete(w.unrouted, addr)
		t := w.targets[addr]
		old := t.path
		t.path = w.reroute(addr, t.mode)
		w.join(addr, t.path, now)
		if t.path.neighbour(addr) != old.neighbour(addr) {
			w.leave(addr, old)
		}
		w.unsettled[addr] = struct{}{}
	}
	for addr := range w.unsettled {
		w.tell(addr, w.targets[addr])
	}
	clear(w.unsettled)
}

func (w *Watcher) tell(addr netip.Addr, t *target) {
	hop := w.hop(addr, t.path)
	if t.told && hop == t.hop {
		return
	}
	t.hop, t.told = hop, true
	w.mu.Lock()
	w.hops[addr] = hop
	w.mu.Unlock()
	w.opts.Logger.Debug("next hop changed", "backend", addr, "hop", hop.String())
	w.opts.Notify(addr, hop)
}

// hop puts together what path, link and neighbour say.
func (w *Watcher) hop(addr netip.Addr, p path) Hop {
	h := Hop{State: p.state, Reason: p.reason}
	if p.link == 0 {
		return h
	}
	l := w.links[p.link]
	h.IfIndex, h.IfName, h.SrcMAC, h.Gateway = p.link, l.name, l.mac, p.gateway
	h.Below, h.Tags, _ = w.below(p.link)
	if h.MTU = p.mtu; h.MTU == 0 {
		h.MTU = l.mtu
	}
	if p.state != Resolved {
		return h
	}
	id := p.neighbour(addr)
	n := w.neighbours[id]
	switch {
	case l.down() != "":
		h.State, h.Reason = Unresolved, l.down()
	case !n.known:
		h.State, h.Reason, h.Silent, h.Asking = Unresolved, n.why(id.addr, l.name), n.silent, !n.silent
	default:
		h.DstMAC = n.mac
	}
	return h
}
