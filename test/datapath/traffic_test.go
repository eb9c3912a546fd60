package datapath

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// packet is the next frame: most often a client's or an answer, in many shapes, and sometimes broken.
func (s *scene) packet() []byte {
	var f frame
	switch n := s.r.IntN(100); {
	case n < 62:
		f = s.fromClient()
	case n < 89:
		f = s.fromBackend()
	case n < 92:
		f = s.echo()
	case n < 95:
		f = s.controlError()
	default:
		f = s.stray()
	}
	s.shape(&f)
	b := f.bytes()
	if f.proto == udp && s.one(20) {
		s.aimChecksum(f, b)
	}
	if at := ethernetHeader + 4*len(f.tags) + 10; f.family() == maps.IPv4 && len(b) > at+1 && s.one(10) {
		binary.BigEndian.PutUint16(b[at:], pickFrom[uint16](s.r, 0, 0xff, 0x100, 0xfeff, 0xff00, 0xfffe, 0xffff)) // where sums turn over
	}
	if s.one(25) {
		b = s.damage(b)
	}
	return b
}

// fromClient is a packet to a listener, or to one that was there.
func (s *scene) fromClient() frame {
	at := pickFrom(s.r, s.sockets...)
	f := frame{dst: mac(s.m.Ifaces[inside].MAC), src: s.router(), proto: at.Proto, ttl: 64, to: netip.AddrPortFrom(at.Addr, at.Port)}
	if at.Port == 0 {
		f.to = netip.AddrPortFrom(at.Addr, pickFrom[uint16](s.r, 0, 1, 80, 5000))
	}
	f.from = s.client(at.Addr.Is4())
	if !s.one(s.fresh) {
		s.follow(&f)
	}
	s.drawTransport(&f)
	return f
}

// follow makes a client's packet one of a flow that is there, if the slot drawn has one.
func (s *scene) follow(f *frame) {
	slots := s.m.Slots(s.r.IntN(2))
	e := slots[s.r.IntN(len(slots))]
	v := s.m.VIPs[e.Key.VIP]
	if e.State == "" || v.Proto == model.Session {
		return
	}
	f.proto, f.from, f.to = v.Proto, e.Key.Client, netip.AddrPortFrom(v.Addr, e.Key.Port)
}

func (s *scene) router() mac {
	m := routerMAC
	m[4] = byte(s.r.IntN(3))
	return m
}

func (s *scene) client(v4 bool) netip.AddrPort {
	i := s.r.IntN(len(s.clients)) &^ 1
	if v4 {
		return s.clients[i]
	}
	return s.clients[i+1]
}

// fromBackend answers on one of the flows that there are, most often as the backend that it is pinned to.
func (s *scene) fromBackend() frame {
	f := pickFrom(s.r, maps.IPv4, maps.IPv6)
	slots := s.m.Slots(int(f))
	e := slots[s.r.IntN(len(slots))]
	b := s.m.Backends[f][e.Backend]
	v := s.m.VIPs[e.Key.VIP]
	if e.State == "" || v.Proto == model.Session || b == nil || modeOf(b.Service) != model.NAT {
		return s.fromClient()
	}
	if s.one(8) {
		b = s.m.Backends[f][pickFrom(s.r, keysOf(s.m.Backends[f], func(a, b uint16) int { return int(a) - int(b) })...)]
	}
	port := b.Port
	if port == 0 || s.one(20) {
		port = e.Key.Port
	}
	out := frame{
		dst: mac(s.m.Ifaces[inside].MAC), src: backendMAC(e.Backend), proto: v.Proto, ttl: 64,
		from: netip.AddrPortFrom(b.Addr, port), to: e.Key.Client,
	}
	s.drawTransport(&out)
	return out
}

// stray is for no listener: another address, port, protocol or MAC.
func (s *scene) stray() frame {
	f := s.fromClient()
	switch s.r.IntN(5) {
	case 0:
		f.to = netip.AddrPortFrom(somewhere[f.family()], f.to.Port())
	case 1:
		f.to = netip.AddrPortFrom(f.to.Addr(), pickFrom[uint16](s.r, 0, 2, 81, 65534))
	case 2:
		f.proto = pickFrom[uint8](s.r, 0, 1, 2, 4, 41, 47, 50, 58, 132, 255)
	case 3:
		f.dst = pickFrom(s.r, mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac{1, 0, 0x5e, 0, 0, 1}, routerMAC)
	case 4:
		f.from, f.to = f.to, f.from
	}
	return f
}

// drawTransport: numbers are few, so that they meet those that an entry remembers.
func (s *scene) drawTransport(f *frame) {
	f.seq, f.ack = 0xfffffffe+uint32(s.r.IntN(4)), 0xfffffffe+uint32(s.r.IntN(4))
	f.id = uint16(s.r.IntN(3))
	if f.proto == tcp {
		f.flags = ack
		if s.one(s.calm) {
			f.flags = pickFrom[uint8](s.r, syn, syn, ack, ack, ack, ack|psh, ack|psh, fin|ack, fin, rst, rst|ack, syn|ack, syn|fin, 0, fin|rst, 0xff)
		}
	}
	if s.one(3) || f.proto == udp {
		f.payload = s.noise(pickFrom(s.r, 0, 1, 1, 2, 3, 8, 40))
	}
	if s.one(20) {
		f.payload = s.noise(pickFrom(s.r, 450, 476, 500, 548, 556, 1240, 1260, 1400, 1452, 1460, 1472))
	}
	if f.flags&syn != 0 && s.one(2) {
		f.tcpOptions = s.drawOptions()
	}
}

func (s *scene) noise(length int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return b
}

// drawOptions of a SYN: its MSS, on any byte, among others.
func (s *scene) drawOptions() []byte {
	var b []byte
	for range s.r.IntN(4) {
		b = append(b, pickFrom(s.r, []byte{1}, []byte{4, 2}, []byte{3, 3, 7}, []byte{0}, []byte{5, 1}, []byte{8, 10, 1, 2, 3, 4, 5, 6, 7, 8})...)
	}
	b = append(b, 2, pickFrom[byte](s.r, 4, 4, 4, 3), byte(s.r.IntN(7)), byte(s.r.Uint32()))
	for len(b)%4 != 0 {
		b = append(b, 1)
	}
	return b
}

// echo asks a VIP.
func (s *scene) echo() frame {
	f := s.fromClient()
	f.tcpOptions, f.flags = nil, 0
	f.control(pickFrom[uint8](s.r, 8, 8, 0, 13), pickFrom[uint8](s.r, 128, 128, 129, 135), s.noise(4+s.r.IntN(40)))
	return f
}

// controlError is about a packet that a VIP has sent, as far as its client knows.
func (s *scene) controlError() frame {
	about, from := s.fromClient(), netip.Addr{}
	about.from, about.to = about.to, about.from
	if reply := s.fromBackend(); s.one(3) && s.m.Replies[model.Socket{Addr: reply.from.Addr(), Port: reply.from.Port(), Proto: reply.proto}] != (model.Reply{}) {
		about, from = reply, reply.from.Addr() // of a backend, about what it was sent
		about.from, about.to = about.to, about.from
	}
	about.tags, about.padding = nil, 0
	if s.one(8) {
		about.ipOptions = make([]byte, 4)
		about.extensions = s.drawExtensions()
	}
	if s.one(15) {
		s.contradict(&about)
	}
	quote := about.bytes()[ethernetHeader:]
	ip := 20 + len(about.ipOptions)
	if about.family() == maps.IPv6 {
		ip = 40
		for _, e := range about.extensions {
			ip += 1 + len(e.body)
		}
	}
	if s.one(2) {
		quote = quote[:min(len(quote), ip+8)] // the least that RFC 792 asks for
	}
	quote = quote[:min(len(quote), 500)]
	out := s.fromClient()
	out.tcpOptions, out.flags = nil, 0
	out.to = netip.AddrPortFrom(about.from.Addr(), 0)
	out.from = s.client(about.from.Addr().Is4())
	if from.IsValid() && !s.one(10) {
		out.from = netip.AddrPortFrom(from, 0)
	}
	out.control(pickFrom[uint8](s.r, 3, 3, 11, 12), pickFrom[uint8](s.r, 1, 2, 2, 3, 4), quote)
	return out
}

// control makes a frame ICMP, of a type in each family.
func (f *frame) control(v4, v6 uint8, body []byte) {
	f.proto, f.icmp = icmp4, icmpMessage{kind: v4, rest: 1400}
	if f.family() == maps.IPv6 {
		f.proto, f.icmp.kind = icmp6, v6
	}
	f.payload = body
}

// shape gives a frame what real ones have at times, and what broken ones have.
func (s *scene) shape(f *frame) {
	if s.one(8) {
		for range 1 + s.r.IntN(3) {
			f.tags = append(f.tags, tag{pickFrom[uint16](s.r, 0x8100, 0x8100, 0x88a8), pickFrom[uint16](s.r, 0, 5, 5, 6)})
		}
		if s.one(2) {
			f.tags = tagsOf(pickFrom(s.r, sceneTags...))
		}
		for i := range f.tags {
			f.tags[i].tci |= uint16(s.r.IntN(16)) << 12
		}
	}
	if s.one(15) {
		f.ttl = pickFrom[uint8](s.r, 0, 1, 2, 255)
	}
	if s.one(12) {
		f.ipOptions = make([]byte, 4*(1+s.r.IntN(10)))
	}
	if s.one(10) {
		f.extensions = s.drawExtensions()
	}
	if s.one(10) {
		f.tcpOptions = make([]byte, 4*(1+s.r.IntN(10)))
	}
	if s.one(10) {
		f.padding = 1 + s.r.IntN(50)
	}
	f.noChecksum = s.one(10)
	if s.one(15) {
		s.contradict(f)
	}
	if s.one(15) {
		s.fragment(f)
	}
	if s.one(60) {
		f.from = netip.AddrPortFrom(s.martian(f), f.from.Port())
	}
}

// martian is an address that no packet comes from.
func (s *scene) martian(f *frame) netip.Addr {
	odd := []string{"0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255"}
	if f.family() == maps.IPv6 {
		odd = []string{"::", "::1", "ff02::1", "::2"}
	}
	if s.one(3) {
		return f.to.Addr()
	}
	return netip.MustParseAddr(pickFrom(s.r, odd...))
}

func (s *scene) drawExtensions() (out []extension) {
	for range pickFrom(s.r, 1, 1, 1, 2, 3, 5, 6) {
		kind := pickFrom[uint8](s.r, 0, 43, 60, 60)
		if s.one(12) {
			kind = pickFrom[uint8](s.r, 44, 51, 59, 135)
		}
		body := make([]byte, 7+8*s.r.IntN(2))
		body[0] = byte(len(body) / 8)
		if s.one(20) {
			body[0] = byte(s.r.Uint32())
		}
		out = append(out, extension{kind, body})
	}
	return out
}

// contradict makes one of the headers contradict another or the frame, or the packet a fragment.
func (s *scene) contradict(f *frame) {
	switch s.r.IntN(7) {
	case 0:
		s.fragment(f)
	case 1:
		f.lengthDelta = pickFrom(s.r, -1, 1, -8, 8, -20, -40, -len(f.payload), f.padding, f.padding+1, 60000)
	case 2:
		f.udpDelta = pickFrom(s.r, -1, 1, -8, -len(f.payload), -len(f.payload)-1)
	case 3:
		f.ihl = 1 + s.r.IntN(15)
	case 4:
		f.doff = 1 + s.r.IntN(15)
	case 5:
		f.version = 1 + s.r.IntN(15)
	case 6:
		f.frag = 0x4000
	}
}

// fragment makes a packet one of a datagram in fragments.
func (s *scene) fragment(f *frame) {
	f.frag = pickFrom[uint16](s.r, 0x2000, 0x2000, 0x2010, 0x0010, 0x4000, 0x8000, 1)
	where := pickFrom[uint16](s.r, 1, 1, 8, 9, 0, 6)
	if f.proto == udp && s.one(2) {
		f.udpDelta = 1400
	}
	header := extension{44, []byte{0, byte(where >> 8), byte(where), 0, 0, 0, byte(s.r.IntN(3))}}
	f.extensions = slices.Insert(f.extensions, s.r.IntN(len(f.extensions)+1), header)
}

// aimChecksum sets a datagram's checksum to what comes out as 0, or near it, once the packet is translated to the backend
// that its flow is pinned to.
func (s *scene) aimChecksum(f frame, b []byte) {
	if len(f.tags) > 0 || len(f.extensions) > 0 {
		return
	}
	l := s.m.Listeners[model.Socket{Addr: f.to.Addr(), Port: f.to.Port(), Proto: f.proto}]
	at := ethernetHeader + 20 + len(f.ipOptions) + 6
	if f.family() == maps.IPv6 {
		at = ethernetHeader + 40 + 6
	}
	for _, e := range s.m.Slots(int(f.family())) {
		if e.State == "" || e.Key != (model.Key{Client: f.from, Port: f.to.Port(), VIP: l.VIP}) {
			continue
		}
		backend := s.m.Backends[f.family()][e.Backend]
		to := netip.AddrPortFrom(backend.Addr, backend.Port)
		if to.Port() == 0 {
			to = netip.AddrPortFrom(backend.Addr, f.to.Port())
		}
		before, after := words(f.to), words(to)
		check := (int(after)-int(before))%0xffff + s.r.IntN(2)
		binary.BigEndian.PutUint16(b[at:], uint16((check+2*0xffff)%0xffff))
	}
}

// words is the sum of an address and a port.
func words(a netip.AddrPort) uint16 {
	return sum16(binary.BigEndian.AppendUint16(a.Addr().AsSlice(), a.Port()))
}

// damage changes bytes, cuts off or adds some.
func (s *scene) damage(b []byte) []byte {
	b = slices.Clone(b)
	switch s.r.IntN(3) {
	case 0:
		for range 1 + s.r.IntN(3) {
			b[s.r.IntN(len(b))] = byte(s.r.Uint32())
		}
	case 1:
		b = b[:ethernetHeader+s.r.IntN(len(b)-ethernetHeader)]
	case 2:
		b[ethernetHeader+s.r.IntN(len(b)-ethernetHeader)] ^= 1 << s.r.IntN(8)
	}
	return b
}
