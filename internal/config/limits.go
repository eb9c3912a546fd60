package config

import (
	"strconv"
	"strings"
)

// Limits bounds what a flood can do to a service. The zero value bounds
// nothing.
type Limits struct {
	NewFlows NewFlows
	HalfOpen int // percent of the table that half-open flows take; 0: any
}

// NewFlows bounds how many flows a prefix of clients begins.
type NewFlows struct {
	Rate  uint32 // a second; 0: any number
	Burst uint32 // at once
	IPv4  uint32 // bits of a client's address that make a prefix
	IPv6  uint32
}

// The prefixes that new flows are counted by, unless told otherwise: no
// smaller than what is given to one customer.
const (
	defaultIPv4Prefix = 24
	defaultIPv6Prefix = 56
)

// minHalfOpen is the least share that the data plane can keep to.
const minHalfOpen = 15

// maxNewFlows is the largest rate and burst: what the data plane can count.
const maxNewFlows = 1 << 20

func (v value) limits() (l Limits) {
	fields, ok := v.mapping("new_flows", "half_open")
	if !ok {
		return l
	}
	if v, ok := fields.get("new_flows"); ok {
		l.NewFlows = v.newFlows()
	}
	if v, ok := fields.get("half_open"); ok {
		l.HalfOpen = v.percent()
	}
	return l
}

// newFlows reads a bucket: a rate, and twice that at once by default.
func (v value) newFlows() NewFlows {
	n := NewFlows{IPv4: defaultIPv4Prefix, IPv6: defaultIPv6Prefix}
	fields, ok := v.mapping("rate", "burst", "ipv4_prefix", "ipv6_prefix")
	if !ok {
		return n
	}
	rate, ok := fields.need("rate")
	if !ok {
		return n
	}
	if n.Rate, ok = rate.number(1, maxNewFlows); !ok {
		return n
	}
	n.Burst = min(2*n.Rate, maxNewFlows)
	fields.bounded("burst", &n.Burst, maxNewFlows)
	fields.bounded("ipv4_prefix", &n.IPv4, 32)
	fields.bounded("ipv6_prefix", &n.IPv6, 64)
	return n
}

// bounded reads key, a number from 1 to most, into at, which keeps its default
// where key is not there.
func (m mapping) bounded(key string, at *uint32, most uint32) {
	if v, ok := m.get(key); ok {
		if n, ok := v.number(1, most); ok {
			*at = n
		}
	}
}

// percent reads a share such as 25%.
func (v value) percent() int {
	text, ok := v.text()
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || n < minHalfOpen || n > 100 || text != strconv.Itoa(n)+"%" {
		v.fail("want a share from %d%% to 100%%, such as 25%%, got %s", minHalfOpen, quote(text))
		return 0
	}
	return n
}
