package maps

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/ebbtide/ebbtide/bpf"
)

// NewFlowsLeft is how many flows a client's prefix may begin at a tick, of a service that limits them: what the program
// would find. It writes nothing.
func (t *Tables) NewFlowsLeft(service uint16, client netip.Addr, now uint32) (uint32, error) {
	s, _ := t.Service(service)
	seed, err := t.seed()
	if err != nil {
		return 0, err
	}
	f := familyOf(client)
	hash := prefixHash(f, service, s.NewFlows.Bits[f], client, seed)
	var line bpf.ProgramPrefixLine
	if err := t.maps["prefixes"].Lookup(uint32(hash)%uint32(bpf.ProgramLimitPREFIX_LINES), &line); err != nil {
		return 0, fmt.Errorf("read what the prefix of %s has left of its new flows: %w", client, err)
	}
	for _, word := range line.Of {
		if word>>prefixTagShift == hash>>prefixTagShift|1 {
			return s.NewFlows.left(word, now), nil
		}
	}
	return s.NewFlows.Burst, nil
}

// The word of a prefix is told in bpf/limits.h.
const (
	prefixTagShift = 40
	leftBits       = 24
	leftTickMask   = 0xffff
)

// left is what a prefix whose word is this has left at a tick.
func (n NewFlows) left(word uint64, now uint32) uint32 {
	idle := (now - uint32(word>>leftBits)) & leftTickMask
	left := word&(1<<leftBits-1) + uint64(idle)*uint64(n.Rate)
	return uint32(min(left, uint64(n.Burst)))
}

// prefixHash is prefix_hash() of the program.
func prefixHash(f Family, service uint16, bits uint8, client netip.Addr, seed uint64) uint64 {
	addr := client.As16()
	prefix := binary.BigEndian.Uint64(addr[:8])
	if f == IPv4 {
		prefix = uint64(binary.BigEndian.Uint32(addr[12:])) << 32
	}
	prefix >>= (64 - bits) & 63
	return mix(mix(seed, prefix, mixOne), uint64(service)<<8|uint64(bits)<<1|uint64(f), mixTwo)
}
