package model

import "net/netip"

// fromBackend is a packet from a nat backend's socket: a reply when its flow is pinned to that backend.
func (m *Model) fromBackend(f *frame, r Reply) Result {
	k := Key{Client: f.to, Port: r.Port, VIP: r.VIPID}
	if k.Port == 0 {
		k.Port = f.from.Port()
	}
	e := m.tables[f.family].find(k, m.place(k))
	if e == nil || m.expired(f.family, e) || m.Backends[f.family][e.Backend].Addr != f.from.Addr() {
		return m.pass(f.in, "pass_no_flow")
	}
	if !m.leaves(f.family, e) {
		before := *e
		m.troubled(f, e, true)
		e.packet(f, true, NAT)
		if before.End = e.End; *e != before {
			m.renew(f.family, *e)
		}
	}
	if f.fragment.first {
		m.note(f, noted{vip: r.VIPID, slot: m.tables[f.family].slotOf(e), established: true})
	}
	m.clampSYN(f, m.Backends[f.family][e.Backend])
	return m.sendBack(f, e.LastHop, netip.AddrPortFrom(r.VIP, r.Port), true)
}

// sendBack sends a backend's packet to the next hop that its client's packets came from.
func (m *Model) sendBack(f *frame, hop Hop, as netip.AddrPort, ports bool) Result {
	out, attached := m.leaveBy(hop.Way)
	switch {
	case !attached:
		return m.drop("drop_unresolved")
	case f.length > out.MTU:
		return m.tooBig(f, out.MTU)
	case f.ttl() <= 1:
		return m.drop("drop_ttl")
	}
	f.translate(true, as, ports)
	return f.send(hop.Way, out.MAC, hop.MAC)
}
