package model

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// steer chooses a generation and a backend of it for a packet without a pin; backend 0: there is none. A packet in
// mid-stream goes to the generation that was live before, while that takes any; testers and their share of the clients go
// to the candidate. Whom none of these takes, the live one does.
func (m *Model) steer(f *frame, k Key, service uint16) (generation, backend uint16) {
	s := m.Services[service]
	if s == nil {
		return 0, 0
	}
	generation = s.Live
	client := k.Client.Addr()
	switch {
	case f.midstream() && s.Previous != 0:
		generation = s.Previous
	case s.Candidate != 0 && (s.shares(client) || s.tests(client)):
		generation = s.Candidate
	}
	if b := m.pick(generation, f.family, k); b != 0 {
		return generation, b
	}
	return s.Live, m.pick(s.Live, f.family, k)
}

func (s *Service) tests(client netip.Addr) bool {
	for p := range s.Testers {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// shares says whether a client is of those that the candidate has: of the client alone, so that a larger share has all
// clients of a smaller one.
func (s *Service) shares(client netip.Addr) bool {
	const odd, second, third = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb
	var h uint64
	if client.Is4() {
		b := client.As4()
		h = (s.Salt ^ uint64(binary.LittleEndian.Uint32(b[:]))) * odd
	} else {
		w := addressWords(client)
		h = (s.Salt ^ w[0]) * odd
		h = ((h ^ h>>32) + w[1]) * second
	}
	h = (h ^ h>>29) * third
	return (h>>32)*10000>>32 < s.Share
}

func (m *Model) pick(generation uint16, family int, k Key) uint16 {
	t := m.Maglev[family][generation]
	if generation == 0 || len(t) == 0 {
		return 0
	}
	at, _ := bits.Mul64(uint64(steeringHash(k.Client, k.Port))<<32, uint64(len(t)))
	return t[at]
}

// steeringHash is what every host of one configuration agrees on: addresses and ports alone. It is defined over the
// bytes of the wire, read as little-endian words.
func steeringHash(client netip.AddrPort, port uint16) uint32 {
	ports := wireWord(client.Port(), port)
	h, rest := ports, [2]uint64{}
	if a := client.Addr(); a.Is4() {
		b := a.As4()
		h |= uint64(binary.LittleEndian.Uint32(b[:])) << 32
	} else {
		rest = addressWords(a)
	}
	h *= 0x9e3779b97f4a7c15
	h = ((h ^ h>>32) + rest[0]) * 0xbf58476d1ce4e5b9
	h = ((h ^ h>>29) + rest[1]) * 0x94d049bb133111eb
	return uint32(h >> 32)
}

// wireWord is two ports as a little-endian CPU sees them on the wire, the first one above.
func wireWord(high, low uint16) uint64 {
	return uint64(bits.ReverseBytes16(high))<<16 | uint64(bits.ReverseBytes16(low))
}

func addressWords(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}
