package image

import (
	"fmt"
	"net/netip"

	"github.com/ebbtide/ebbtide/internal/config"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// vipKey: a VIP id belongs to {VIP, protocol}, whatever its ports.
type vipKey struct {
	addr  netip.Addr
	proto kernel.Protocol
}

// listeners brings listeners, VIP ids and replies to what the file says. A listener that is gone is closed: it keeps its
// flows and takes no new ones.
func (b *builder) listeners() {
	gone := keysOf(b.im.Listeners)
	ids, counts := b.vipIDs(), map[vipKey]int{}
	single := map[vipKey]uint16{}
	nextID := b.listenerIDs()
	for _, s := range b.Config.Services {
		index, _ := b.im.ServiceNamed(s.Name)
		for _, l := range s.Listeners {
			key := vipKey{l.VIP, kernel.Protocol(l.Protocol)}
			vip, ok := ids[key]
			if !ok {
				vip = firstFree(b, "pairs of VIP and protocol", b.im.VIPs, kernel.MaxVIPs)
				ids[key] = vip
				b.im.VIPs[vip] = kernel.VIP{Addr: l.VIP, Protocol: key.proto}
			}
			id := nextID(index, l)
			counts[key]++
			single[key] = id
			entry := kernel.Listener{VIP: vip, Service: index, ID: id, Forwarding: forwardingOf(s)}
			for port := int(l.First); port <= int(l.Last); port++ {
				socket := kernel.Socket{Addr: l.VIP, Port: uint16(port), Protocol: key.proto}
				b.im.Listeners[socket] = entry
				delete(gone, socket)
			}
			mark := kernel.Socket{Addr: l.VIP, Protocol: key.proto}
			b.im.Listeners[mark] = kernel.Listener{VIP: vip, Kind: kernel.Mark}
			delete(gone, mark)
		}
	}
	b.closeListeners(gone)
	for key, vip := range ids {
		v := b.im.VIPs[vip]
		v.Listener = 0
		if counts[key] == 1 && !b.anyClosed(vip) {
			v.Listener = single[key]
		}
		b.im.VIPs[vip] = v
	}
	b.replies()
	checkRoom(b, "listeners' ports", b.Have.Listeners, b.im.Listeners)
	checkRoom(b, "nat sockets", b.Have.Replies, b.im.Replies)
}

// checkRoom refuses what the kernel's maps could not hold while a reload is under way: the new comes before the old goes.
func checkRoom[V any](b *builder, what string, have, want map[kernel.Socket]V) {
	n := [2]int{}
	for socket := range want {
		n[family(socket.Addr)]++
	}
	for socket := range have {
		if _, stays := want[socket]; !stays {
			n[family(socket.Addr)]++
		}
	}
	if most := max(n[0], n[1]); most > kernel.MaxSockets {
		b.full = fmt.Errorf("%d %s, those that keep their flows included, are more than the %d of the data plane: wait until some have ended", most, what, kernel.MaxSockets)
	}
}

func (b *builder) vipIDs() map[vipKey]uint16 {
	out := map[vipKey]uint16{}
	for id, v := range b.im.VIPs {
		out[vipKey{v.Addr, v.Protocol}] = id
	}
	return out
}

func (b *builder) closeListeners(gone map[kernel.Socket]bool) {
	for socket := range gone {
		l := b.im.Listeners[socket]
		if l.Kind == kernel.Open {
			l.Kind = kernel.Closed
			b.im.Listeners[socket] = l
		}
	}
}

func (b *builder) anyClosed(vip uint16) bool {
	for _, l := range b.im.Listeners {
		if l.VIP == vip && l.Kind == kernel.Closed {
			return true
		}
	}
	return false
}

// listenerIDs gives out ids of listeners: the one that its first port had already, else a free one.
func (b *builder) listenerIDs() func(service uint16, l config.Listener) uint16 {
	used := map[uint16]bool{}
	for _, l := range b.im.Listeners {
		used[l.ID] = true
	}
	given := map[uint16]bool{}
	next := uint16(1)
	return func(service uint16, l config.Listener) uint16 {
		have, ok := b.im.Listeners[kernel.Socket{Addr: l.VIP, Port: l.First, Protocol: kernel.Protocol(l.Protocol)}]
		if ok && have.ID != 0 && have.Service == service && !given[have.ID] {
			given[have.ID] = true
			return have.ID
		}
		for used[next] || given[next] {
			next++ // MaxListeners is well over what a file may have
		}
		given[next] = true
		return next
	}
}

// replies says of every socket of a nat service's backends whose replies come from there; those of backends that only
// keep their sessions included.
func (b *builder) replies() {
	want := map[kernel.Socket]kernel.Reply{}
	byService := map[uint16][]Backend{}
	for _, e := range b.im.Backends {
		byService[e.Service] = append(byService[e.Service], e)
	}
	for socket, l := range b.im.Listeners {
		if l.Kind == kernel.Mark || l.Forwarding != kernel.NAT {
			continue
		}
		for _, e := range byService[l.Service] {
			addr := e.Addrs[family(socket.Addr)]
			if !addr.IsValid() {
				continue
			}
			port := socket.Port
			if e.Port != 0 {
				port = e.Port
			}
			want[kernel.Socket{Addr: addr, Port: port, Protocol: socket.Protocol}] =
				kernel.Reply{VIP: socket.Addr, Port: socket.Port, VIPID: l.VIP}
		}
	}
	b.im.Replies = want
}
