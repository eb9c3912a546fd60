package model

import "net/netip"

// control is ICMP. Echo to a VIP is answered, an error goes to the backend whose flow it is about, or from a nat backend to
// its client.
func (m *Model) control(f *frame) Result {
	b := f.bytes[f.l4:]
	switch {
	case f.fragment.first, f.fragment.later:
		return m.pass(f.in, "pass_not_ours")
	case f.rest(f.l4) < 8, !f.whole():
		return m.brokenControl(f)
	}
	if f.family == V4 {
		switch b[0] {
		case 8:
			return m.echo(f, 0)
		case 3, 11, 12:
			return m.controlError(f)
		}
	} else {
		switch b[0] {
		case 128:
			return m.echo(f, 129)
		case 1, 2, 3, 4:
			return m.controlError(f)
		}
	}
	return m.pass(f.in, "pass_not_ours")
}

func (m *Model) brokenControl(f *frame) Result {
	if m.isVIP(f.to.Addr()) {
		return m.drop("drop_malformed")
	}
	return m.pass(f.in, "pass_not_ours")
}

func (m *Model) echo(f *frame, reply byte) Result {
	if !m.isVIP(f.to.Addr()) {
		return m.pass(f.in, "pass_not_ours")
	}
	if martian(f.from.Addr(), f.to.Addr()) {
		return m.drop("drop_martian")
	}
	if m.EchoOff || !m.Limits.Echo.take() {
		return m.drop("drop_echo")
	}
	m.Reasons["event_echo"]++
	f.setAddrs(f.to.Addr(), f.from.Addr())
	f.setTTL(64)
	sum := f.l4 + 2
	f.change(f.l4, f.l4+2, sum, func() { f.bytes[f.l4] = reply })
	return f.answer()
}

// controlError is about a packet that the VIP sent, which is quoted.
func (m *Model) controlError(f *frame) Result {
	q := frame{bytes: f.bytes, ip: f.l4 + 8, family: f.family}
	at, proto, ok := q.readQuoted()
	if !ok || f.rest(at) < 8 || len(f.bytes) < at+8 {
		return m.brokenControl(f)
	}
	source := netip.AddrPortFrom(q.from.Addr(), be.Uint16(f.bytes[at:]))
	client := netip.AddrPortFrom(q.to.Addr(), be.Uint16(f.bytes[at+2:]))
	l, ok := m.listener(Socket{source.Addr(), source.Port(), proto})
	if !ok || source.Addr() != f.to.Addr() || q.fragment.later {
		return m.errorOfBackend(f, &q, at, proto)
	}
	k := Key{Client: client, Port: source.Port(), VIP: l.VIP}
	e := m.tables[f.family].find(k, m.place(k))
	if e == nil || m.expired(f.family, e) {
		return m.drop("drop_icmp_no_flow")
	}
	m.Reasons["event_icmp_error"]++
	b := m.Backends[f.family][e.Backend]
	if b.Forwarding == NAT {
		f.translateQuoted(&q, at, proto, true, netip.AddrPortFrom(b.Addr, b.Port))
		f.coverAddress(f.to.Addr(), b.Addr)
	}
	return m.forward(f, b, uint32(m.placeHash(k)), false)
}

// errorOfBackend is about a packet that a nat backend was sent for a client, who is told as by the VIP.
func (m *Model) errorOfBackend(f, q *frame, at int, proto uint8) Result {
	client := netip.AddrPortFrom(q.from.Addr(), be.Uint16(f.bytes[at:]))
	socket := Socket{q.to.Addr(), be.Uint16(f.bytes[at+2:]), proto}
	r, ok := m.reply(socket)
	if !ok || socket.Addr != f.from.Addr() || client.Addr() != f.to.Addr() || q.fragment.later {
		return m.pass(f.in, "pass_not_ours")
	}
	k := Key{Client: client, Port: r.Port, VIP: r.VIPID}
	if k.Port == 0 {
		k.Port = socket.Port
	}
	e := m.tables[f.family].find(k, m.place(k))
	if e == nil || m.expired(f.family, e) || m.Backends[f.family][e.Backend].Addr != f.from.Addr() {
		return m.pass(f.in, "pass_no_flow")
	}
	m.Reasons["event_icmp_error"]++
	f.translateQuoted(q, at, proto, false, netip.AddrPortFrom(r.VIP, r.Port))
	f.coverAddress(f.from.Addr(), r.VIP)
	return m.sendBack(f, e.LastHop, netip.AddrPortFrom(r.VIP, 0), false)
}

// coverAddress: in IPv6 the checksum covers an address that changes.
func (f *frame) coverAddress(was, is netip.Addr) {
	if f.family == V6 {
		f.refresh(f.l4+2, difference(was.AsSlice(), is.AsSlice()))
	}
}

// readQuoted reads the header of a quoted packet, and says where and what is behind it.
func (q *frame) readQuoted() (at int, proto uint8, ok bool) {
	b := q.bytes[q.ip:]
	if q.family == V6 {
		if len(b) < 40 || b[0]>>4 != 6 {
			return 0, 0, false
		}
		q.from = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), 0)
		q.to = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:])), 0)
		proto, at, ok = skipExtensions(b, b[6], 40)
		if ok && proto == 44 && (len(b) < at+8 || be.Uint16(b[at+2:])&0xfff8 != 0) {
			proto = 59
		} else if ok && proto == 44 {
			proto, at, ok = skipExtensions(b, b[at], at+8)
		}
		return q.ip + at, proto, ok
	}
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 || len(b) < int(b[0]&15)*4 {
		return 0, 0, false
	}
	q.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), 0)
	q.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), 0)
	q.fragment.later = be.Uint16(b[6:])&0x1fff != 0
	return q.ip + int(b[0]&15)*4, b[9], true
}

// translateQuoted makes the quoted packet what who is told had sent: its source is another, or its destination. The checksum
// of the whole follows. Port 0 keeps the packet's.
func (f *frame) translateQuoted(q *frame, at int, proto uint8, source bool, to netip.AddrPort) {
	end := len(f.bytes) - (len(f.bytes)-f.l4)%2
	addr, port := q.sourceAt(), at
	if !source {
		addr, port = addr+q.addrLen(), port+2
	}
	f.change(f.l4, end, f.l4+2, func() {
		sum, need, last := at+6, at+8, min(f.ip+f.length, len(f.bytes))
		if proto == TCP {
			sum, need = at+16, at+18
		}
		rewrite := func() {
			copy(f.bytes[addr:], to.Addr().AsSlice())
			if to.Port() != 0 {
				be.PutUint16(f.bytes[port:], to.Port())
			}
		}
		if q.family == V4 {
			inner := rewrite
			rewrite = func() { f.change(q.ip, q.ip+20, q.ip+10, inner) }
		}
		both := func() []byte {
			return append(append([]byte{}, f.bytes[addr:addr+q.addrLen()]...), f.bytes[port:port+2]...)
		}
		before := both()
		rewrite()
		if need <= last {
			f.refreshTransport(proto, sum, difference(before, both()))
		}
	})
}
