package maps

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Protocol is an IP protocol number: TCP or UDP.
type Protocol uint8

const (
	ProtocolTCP Protocol = 6
	ProtocolUDP Protocol = 17

	// ProtocolSession is that of a VIP id under which the sessions of clients are kept: no packet has it.
	ProtocolSession Protocol = 255
)

// Socket is an address, port and protocol: of a listener, or of a nat backend.
type Socket struct {
	Addr     netip.Addr
	Port     uint16
	Protocol Protocol
}

// ListenerKind is what an entry among the listeners means.
type ListenerKind = bpf.ProgramListenerKind

const (
	Open   = bpf.ProgramListenerKindLISTENER_OPEN
	Mark   = bpf.ProgramListenerKindLISTENER_MARK   // port 0: its VIP and protocol have listeners, so what can't be parsed further is theirs
	Closed = bpf.ProgramListenerKindLISTENER_CLOSED // keeps its flows, takes no new ones
)

// Listener is what one VIP, port and protocol leads to.
type Listener struct {
	VIP        uint16 // VIP id
	Service    uint16 // index
	ID         uint16 // for counting sessions
	Forwarding Forwarding
	Kind       ListenerKind
}

// Reply is what a nat backend's socket belongs to.
type Reply struct {
	VIP   netip.Addr
	Port  uint16 // the listener's
	VIPID uint16
}

// VIP is a VIP and protocol. Listener is its only listener's id, or 0 when there are several.
type VIP struct {
	Addr     netip.Addr
	Protocol Protocol
	Listener uint16
}

func (t *Tables) keyed(base4, base6 string, s Socket) (*ebpf.Map, any) {
	w := wireAddr(s.Addr)
	if s.Addr.Is4() {
		return t.maps[base4], bpf.ProgramListenerKey4{Vip: w[0], Port: wirePort(s.Port), Proto: uint8(s.Protocol)}
	}
	return t.maps[base6], bpf.ProgramListenerKey6{Vip: w, Port: wirePort(s.Port), Proto: uint8(s.Protocol)}
}

// PutListener adds or replaces a listener, in one step for the data plane. Its service, VIP and the address filter must
// be there before.
func (t *Tables) PutListener(s Socket, l Listener) error {
	m, key := t.keyed("listeners4", "listeners6", s)
	v := bpf.ProgramListener{Vip: l.VIP, Service: l.Service, Id: l.ID, Forwarding: uint8(l.Forwarding), Kind: uint8(l.Kind)}
	if err := m.Put(key, v); err != nil {
		return fmt.Errorf("put listener %v: %w", s, err)
	}
	return t.stampListeners()
}

// stampListeners lets no CPU rely any longer on what it knows of listeners and of nat backends' sockets. It is done behind
// each change, and once more by whoever comes after a process that was killed between the two.
func (t *Tables) stampListeners() error {
	m := t.maps["listeners_stamp"]
	if m == nil {
		return nil // a program of before looks each one up
	}
	if err := m.Put(uint32(0), rand.Uint64()); err != nil {
		return fmt.Errorf("put the stamp of the listeners: %w", err)
	}
	return nil
}

// Listener reads what a packet for a socket leads to: the listener of its port, or else the one of all ports.
func (t *Tables) Listener(s Socket) (Listener, bool, error) {
	for _, port := range []uint16{s.Port, 0} {
		m, key := t.keyed("listeners4", "listeners6", Socket{s.Addr, port, s.Protocol})
		var v bpf.ProgramListener
		err := m.Lookup(key, &v)
		switch {
		case err == nil:
			l := listenerOf(v)
			return l, l.Kind != Mark, nil
		case !errors.Is(err, ebpf.ErrKeyNotExist):
			return Listener{}, false, fmt.Errorf("look up listener %v: %w", s, err)
		}
	}
	return Listener{}, false, nil
}

func listenerOf(v bpf.ProgramListener) Listener {
	return Listener{VIP: v.Vip, Service: v.Service, ID: v.Id, Forwarding: Forwarding(v.Forwarding), Kind: ListenerKind(v.Kind)}
}

// RemoveListener takes a listener away; that it is not there is no error.
func (t *Tables) RemoveListener(s Socket) error {
	m, key := t.keyed("listeners4", "listeners6", s)
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove listener %v: %w", s, err)
	}
	return t.stampListeners()
}

// PutReply says whose replies come from a nat backend's socket.
func (t *Tables) PutReply(s Socket, r Reply) error {
	m, key := t.keyed("replies4", "replies6", s)
	v := bpf.ProgramReply{Vip: wireAddr(r.VIP), Port: wirePort(r.Port), VipId: r.VIPID}
	if err := m.Put(key, v); err != nil {
		return fmt.Errorf("put reply %v: %w", s, err)
	}
	return t.stampListeners()
}

// RemoveReply takes a nat backend's socket away; that it is not there is no error.
func (t *Tables) RemoveReply(s Socket) error {
	m, key := t.keyed("replies4", "replies6", s)
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove reply %v: %w", s, err)
	}
	return t.stampListeners()
}

// PutVIP writes a VIP id's record.
func (t *Tables) PutVIP(id uint16, v VIP) error {
	e := bpf.ProgramVip{Addr: wireAddr(v.Addr), Listener: v.Listener, Proto: uint8(v.Protocol), Family: uint8(familyOf(v.Addr))}
	if err := t.maps["vips"].Put(uint32(id), e); err != nil {
		return fmt.Errorf("put VIP id %d: %w", id, err)
	}
	return nil
}

// RemoveVIP frees a VIP id. No flow may name it.
func (t *Tables) RemoveVIP(id uint16) error {
	if err := t.maps["vips"].Put(uint32(id), bpf.ProgramVip{}); err != nil {
		return fmt.Errorf("remove VIP id %d: %w", id, err)
	}
	return nil
}

// VIPs lists the VIP ids in use.
func (t *Tables) VIPs() (map[uint16]VIP, error) {
	out := map[uint16]VIP{}
	var e bpf.ProgramVip
	var id uint32
	it := t.maps["vips"].Iterate()
	for it.Next(&id, &e) {
		if e.Proto != 0 {
			out[uint16(id)] = VIP{Addr: hostAddr(Family(e.Family), e.Addr), Protocol: Protocol(e.Proto), Listener: e.Listener}
		}
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read VIPs: %w", err)
	}
	return out, nil
}

// Listeners reads all listeners, marks included.
func (t *Tables) Listeners() (map[Socket]Listener, error) {
	out := map[Socket]Listener{}
	var v bpf.ProgramListener
	add := func(s Socket) { out[s] = listenerOf(v) }
	if err := eachSocket(t.maps["listeners4"], t.maps["listeners6"], &v, add); err != nil {
		return nil, fmt.Errorf("read listeners: %w", err)
	}
	return out, nil
}

// Replies reads all sockets of nat backends.
func (t *Tables) Replies() (map[Socket]Reply, error) {
	out := map[Socket]Reply{}
	var v bpf.ProgramReply
	add := func(s Socket) {
		out[s] = Reply{VIP: hostAddr(familyOf(s.Addr), v.Vip), Port: wirePort(v.Port), VIPID: v.VipId}
	}
	if err := eachSocket(t.maps["replies4"], t.maps["replies6"], &v, add); err != nil {
		return nil, fmt.Errorf("read replies: %w", err)
	}
	return out, nil
}

func eachSocket(m4, m6 *ebpf.Map, value any, each func(Socket)) error {
	var k4 bpf.ProgramListenerKey4
	it := m4.Iterate()
	for it.Next(&k4, value) {
		each(Socket{hostAddr(IPv4, [4]uint32{k4.Vip}), wirePort(k4.Port), Protocol(k4.Proto)})
	}
	if err := it.Err(); err != nil {
		return err
	}
	var k6 bpf.ProgramListenerKey6
	it = m6.Iterate()
	for it.Next(&k6, value) {
		each(Socket{hostAddr(IPv6, k6.Vip), wirePort(k6.Port), Protocol(k6.Proto)})
	}
	return it.Err()
}
