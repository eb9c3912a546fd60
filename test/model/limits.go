package model

import "net/netip"

// Bucket is what a prefix of clients has left of a service's new flows. Line is where the program keeps it.
type Bucket struct {
	Line       uint32
	Left, Idle int64 // flows; ticks since they were so many
}

// prefix of clients of a service.
type prefix struct {
	service uint16
	clients netip.Prefix
}

// idleMost is how far the program's clock of a bucket goes before it begins anew.
const idleMost = 0xffff

// admits takes a new flow out of the client's bucket, which is full at first and gets more each tick.
func (m *Model) admits(client netip.Addr, service uint16) bool {
	s := m.Services[service]
	if s == nil || s.NewFlows == 0 {
		return true
	}
	p, _ := client.Prefix(s.PrefixBits[familyOf(client)])
	b := m.Buckets[prefix{service, p}]
	if b == nil {
		b = &Bucket{Line: m.bucketLine(p, service), Left: s.Burst}
	}
	left := min(s.Burst, b.Left+b.Idle*s.NewFlows)
	if left == 0 {
		return false
	}
	b.Left, b.Idle = left-1, 0
	m.Buckets[prefix{service, p}] = b
	return true
}

// bucketLine is a hash that differs by host.
func (m *Model) bucketLine(p netip.Prefix, service uint16) uint32 {
	var word uint64
	for i, b := range p.Addr().AsSlice() {
		if i < 8 {
			word = word<<8 | uint64(b)
		}
	}
	width := min(64, p.Addr().BitLen())
	h := mixed(mixed(m.Seed, word>>(width-p.Bits()), 0x9e3779b97f4a7c15), uint64(service)<<8|uint64(p.Bits())<<1|uint64(familyOf(p.Addr())), 0xbf58476d1ce4e5b9)
	return uint32(h) % 1024
}

func mixed(x, word, factor uint64) uint64 {
	x = (x ^ word) * factor
	return x ^ x>>32
}

// overShare is the half-open flow that makes room for another of its service, where that has its share of the places; nil
// where it has not.
func (m *Model) overShare(family int, service uint16, lines [8]uint32) (oldest *Entry) {
	s := m.Services[service]
	if s == nil || s.HalfOpen == 0 {
		return nil
	}
	n := 0
	for _, i := range lines[:mainLines] {
		for slot := range m.tables[family].line(i) {
			e := &m.tables[family].line(i)[slot]
			if e.State != HalfOpen || m.Backends[family][e.Backend].Service != service || m.expired(family, e) {
				continue
			}
			if n++; oldest == nil || e.silence() > oldest.silence() {
				oldest = e
			}
		}
	}
	if n < s.HalfOpen {
		return nil
	}
	m.Reasons["event_replaced_share"]++
	return oldest
}
