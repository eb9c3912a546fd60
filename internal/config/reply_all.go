package config

import (
	"cmp"
	"net/netip"
	"slices"
)

// A listener of all ports of a nat service answers for every port of its
// backends, but for those that its VIP has a listener of its own for: its
// packets never go there.

// portRange is a run of ports, both ends included.
type portRange struct{ first, last int }

// endpoint is what ports belong to.
type endpoint struct {
	addr  netip.Addr
	proto Protocol
}

// ownPorts gives, for each VIP and protocol, the ports with a listener of
// their own, in order and joined where they touch.
func ownPorts(services []placedService) map[endpoint][]portRange {
	out := map[endpoint][]portRange{}
	for _, s := range services {
		for _, l := range s.listeners {
			if !l.All() {
				at := endpoint{l.VIP, l.Protocol}
				out[at] = append(out[at], portRange{int(l.First), int(l.Last)})
			}
		}
	}
	for at, ranges := range out {
		out[at] = joined(ranges)
	}
	return out
}

func joined(ranges []portRange) []portRange {
	slices.SortFunc(ranges, func(a, b portRange) int { return cmp.Compare(a.first, b.first) })
	var out []portRange
	for _, r := range ranges {
		if n := len(out); n > 0 && r.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, r.last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// covers says whether one of the ranges, which are joined, has all of r.
func covers(ranges []portRange, r portRange) bool {
	i, found := slices.BinarySearchFunc(ranges, r.first, func(x portRange, port int) int { return cmp.Compare(x.first, port) })
	if !found {
		i--
	}
	return i >= 0 && ranges[i].last >= r.last
}

// reportSharedBackends compares the sockets with those of listeners of all
// ports at the same backend address.
func reportSharedBackends(services []placedService, sockets []replySocket) {
	all := map[endpoint]replySocket{}
	for _, r := range sockets {
		if _, taken := all[endpoint{r.addr, r.proto}]; r.listener.All() && !taken {
			all[endpoint{r.addr, r.proto}] = r
		}
	}
	if len(all) == 0 {
		return
	}
	own, reported := ownPorts(services), map[*placedBackend]bool{}
	for _, r := range sockets {
		other, ok := all[endpoint{r.addr, r.proto}]
		if !ok || r.listener.All() {
			continue
		}
		if !covers(own[endpoint{other.listener.VIP, r.proto}], portRange{int(r.first), int(r.last)}) {
			early, late := other, r
			if late.order < early.order {
				early, late = late, early
			}
			if !reported[late.backend] {
				reported[late.backend] = true
				late.shared(early)
			}
		}
	}
}
