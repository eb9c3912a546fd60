package image

import (
	"cmp"
	"fmt"
	"net/netip"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// clash is a backend socket that would answer for two listeners.
type clash struct {
	at         kernel.Socket
	service    uint16
	one, other kernel.Reply
}

// replies says of every socket of a nat service's backends whose replies come from there; those of backends and listeners
// that only keep their sessions included.
func (im *Image) replies() (map[kernel.Socket]kernel.Reply, *clash) {
	out := map[kernel.Socket]kernel.Reply{}
	byService := map[uint16][]Backend{}
	for _, e := range im.Backends {
		byService[e.Service] = append(byService[e.Service], e)
	}
	for socket, l := range im.Listeners {
		if l.Kind == kernel.Mark || l.Forwarding != kernel.NAT {
			continue
		}
		reply := kernel.Reply{VIP: socket.Addr, Port: socket.Port, VIPID: l.VIP}
		for _, e := range byService[l.Service] {
			at, ok := e.socketFor(socket)
			if !ok {
				continue
			}
			if other, taken := out[at]; taken && other != reply {
				return nil, &clash{at, l.Service, reply, other}
			}
			out[at] = reply
		}
	}
	if shared := im.sharedWithAll(out); shared != nil {
		return nil, shared
	}
	return out, nil
}

// socketFor is the backend's socket to which a listener's packets go; false when it has no address of that family, or a port
// of its own and the listener is of all ports: it keeps what it had from another.
func (b Backend) socketFor(listener kernel.Socket) (kernel.Socket, bool) {
	at := kernel.Socket{Addr: b.Addrs[family(listener.Addr)], Port: listener.Port, Protocol: listener.Protocol}
	if b.Port != 0 {
		at.Port = b.Port
	}
	return at, at.Addr.IsValid() && (listener.Port != 0 || b.Port == 0)
}

func (b *builder) replies() {
	want, clash := b.im.replies()
	if clash != nil {
		b.refuseReply(clash)
		return
	}
	b.im.Replies = want
}

// refuseReply: the file itself has no backend socket with two listeners, so one of these was closed by it and has flows.
func (b *builder) refuseReply(c *clash) {
	first, second := c.one, c.other
	if cmp.Or(second.VIP.Compare(first.VIP), cmp.Compare(second.Port, first.Port)) < 0 {
		first, second = second, first
	}
	b.errs = append(b.errs, b.Config.Mistake("services."+b.im.Services[c.service].Name+".listeners",
		fmt.Sprintf("backend %s would answer for %s and for %s, and one of them is no longer in the file but still has sessions: give the new listener a backend port of its own, or add it when status shows the old one no more",
			netip.AddrPortFrom(c.at.Addr, c.at.Port), asked(first), asked(second))))
}

// asked is the listener that a reply belongs to, in words.
func asked(r kernel.Reply) string {
	if r.Port == 0 {
		return r.VIP.String() + " of all ports"
	}
	return netip.AddrPortFrom(r.VIP, r.Port).String()
}
