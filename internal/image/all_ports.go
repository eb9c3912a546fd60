package image

import kernel "github.com/ebbtide/ebbtide/maps"

// allPorts is where a VIP and protocol have their listener of all ports, or else their mark.
func allPorts(s kernel.Socket) kernel.Socket {
	return kernel.Socket{Addr: s.Addr, Protocol: s.Protocol}
}

// listener is the one that a packet to a socket is for.
func (im *Image) listener(socket kernel.Socket) (kernel.Listener, bool) {
	l, there := im.Listeners[socket]
	if !there {
		l, there = im.Listeners[allPorts(socket)]
	}
	return l, there && l.Kind != kernel.Mark
}

// mark says that a VIP and protocol have listeners. One of all ports, open or closed, says so too.
func (b *builder) mark(at kernel.Socket, vip uint16) {
	if _, there := b.im.Listeners[at]; !there {
		b.im.Listeners[at] = kernel.Listener{VIP: vip, Kind: kernel.Mark}
	}
}

// closeListeners closes what the file no longer has, but for what a listener of all ports takes over.
func (b *builder) closeListeners(gone map[kernel.Socket]bool) {
	for socket := range gone {
		l := b.im.Listeners[socket]
		all := b.im.Listeners[allPorts(socket)]
		switch {
		case l.Kind != kernel.Open:
		case socket.Port == 0 || gone[allPorts(socket)] || all.Kind != kernel.Open:
			l.Kind = kernel.Closed
			b.im.Listeners[socket] = l
		default:
			b.merge(socket, l, all)
		}
	}
}

// merge lets a port fall to its VIP's listener of all ports. Its flows go on: their VIP id is the same, and so they are
// sent to the backends that they are pinned to. In nat their replies have to be known all the same: those of another
// service are not, and those from a backend's own port only by the port's listener, which stays as it is while there is
// such a backend.
func (b *builder) merge(socket kernel.Socket, l, all kernel.Listener) {
	switch {
	case l.Forwarding != kernel.NAT && all.Forwarding != kernel.NAT:
		delete(b.im.Listeners, socket)
	case l.Service != all.Service:
		l.Kind = kernel.Closed
		b.im.Listeners[socket] = l
	case !b.im.translatesPorts(l.Service):
		delete(b.im.Listeners, socket)
	}
}

// translatesPorts says whether a service has a backend with a port of its own, those that only keep their sessions included.
func (im *Image) translatesPorts(service uint16) bool {
	for _, e := range im.Backends {
		if e.Service == service && e.Port != 0 {
			return true
		}
	}
	return false
}

// sharedWithAll finds a backend socket that answers for one listener, and at which a listener of all ports of another VIP
// has flows too, or of the same one at a port that has no listener.
func (im *Image) sharedWithAll(replies map[kernel.Socket]kernel.Reply) *clash {
	for at, r := range replies {
		all, there := replies[allPorts(at)]
		if !there || at.Port == 0 {
			continue
		}
		asked := kernel.Socket{Addr: all.VIP, Port: at.Port, Protocol: at.Protocol}
		if _, own := im.Listeners[asked]; !own {
			return &clash{at, im.Listeners[allPorts(asked)].Service, r, all}
		}
	}
	return nil
}
