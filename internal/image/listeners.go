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
	ids := b.vipIDs()
	nextID := b.idOfListener()
	for _, s := range b.Config.Services {
		index, _ := b.im.ServiceNamed(s.Name)
		for _, l := range s.Listeners {
			key := vipKey{l.VIP, kernel.Protocol(l.Protocol)}
			vip, ok := ids[key]
			if !ok {
				vip = b.next(&b.free.vips)
				ids[key] = vip
				b.im.VIPs[vip] = kernel.VIP{Addr: l.VIP, Protocol: key.proto}
			}
			b.refuseMove(s, index, l)
			id := nextID(index, l)
			entry := kernel.Listener{VIP: vip, Service: index, ID: id, Forwarding: forwardingOf(s)}
			for port := int(l.First); port <= int(l.Last); port++ {
				socket := kernel.Socket{Addr: l.VIP, Port: uint16(port), Protocol: key.proto}
				b.im.Listeners[socket] = entry
				delete(gone, socket)
			}
			b.mark(kernel.Socket{Addr: l.VIP, Protocol: key.proto}, vip)
		}
	}
	b.closeListeners(gone)
	b.im.nameListeners()
	b.replies()
	checkRoom(b, "listeners' ports", b.Have.Listeners, b.im.Listeners)
	checkRoom(b, "nat sockets", b.Have.Replies, b.im.Replies)
}

// refuseMove refuses to take a listener over from another service when nat is in play: the flows that are there are pinned
// to the other service's backends, whose mode and replies are its own.
func (b *builder) refuseMove(s config.Service, index uint16, l config.Listener) {
	for port := int(l.First); port <= int(l.Last); port++ {
		socket := kernel.Socket{Addr: l.VIP, Port: uint16(port), Protocol: kernel.Protocol(l.Protocol)}
		have, there := b.Have.listener(socket)
		if !there || have.Service == index || have.Forwarding != kernel.NAT && s.Forwarding != config.NAT {
			continue
		}
		if b.Have.Listeners[socket] != have && have.Forwarding == forwardingOf(s) {
			continue // it is taken out of all ports, which keep their replies
		}
		b.errs = append(b.errs, b.Config.Mistake("services."+s.Name+".listeners",
			fmt.Sprintf("%s %s port %d belongs to service %s, whose sessions go on, and one of the two is nat: take it out of the file, and add it here when status shows it no more",
				l.VIP, l.Protocol, port, b.Have.Services[have.Service].Name)))
		return
	}
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

// nameListeners notes with each VIP id its listener, where it is the only one: the sweeper need not look it up then.
func (im *Image) nameListeners() {
	only, several := map[uint16]uint16{}, map[uint16]bool{}
	for _, l := range im.Listeners {
		if l.Kind == kernel.Mark {
			continue
		}
		first, known := only[l.VIP]
		several[l.VIP] = several[l.VIP] || l.Kind == kernel.Closed || known && first != l.ID
		only[l.VIP] = l.ID
	}
	for id, v := range im.VIPs {
		v.Listener = only[id]
		if several[id] {
			v.Listener = 0
		}
		im.VIPs[id] = v
	}
}

// idOfListener gives out ids of listeners: the one that its first port had already, else a free one.
func (b *builder) idOfListener() func(service uint16, l config.Listener) uint16 {
	given := map[uint16]bool{}
	return func(service uint16, l config.Listener) uint16 {
		have, ok := b.im.Listeners[kernel.Socket{Addr: l.VIP, Port: l.First, Protocol: kernel.Protocol(l.Protocol)}]
		if ok && have.ID != 0 && have.Service == service && !given[have.ID] {
			given[have.ID] = true
			return have.ID
		}
		return b.next(&b.free.listeners)
	}
}
