package config

import (
	"cmp"
	"net/netip"
	"slices"
)

// checkOverlaps refuses that two listeners of the file want the same packet.
func checkOverlaps(services []placedService) {
	type key struct {
		vip   netip.Addr
		proto Protocol
	}
	groups := map[key][]placedListener{}
	var order []key
	for _, s := range services {
		for _, l := range s.listeners {
			k := key{l.VIP, l.Protocol}
			if groups[k] == nil {
				order = append(order, k)
			}
			groups[k] = append(groups[k], l)
		}
	}
	for _, k := range order {
		checkOverlap(groups[k])
	}
}

// checkOverlap compares each listener with the one before it in port order
// that reaches furthest, and reports the later of the two in the file. All ports
// are those without a listener of their own: they overlap each other only.
func checkOverlap(group []placedListener) {
	slices.SortStableFunc(group, func(a, b placedListener) int { return cmp.Compare(a.First, b.First) })
	reach := group[0]
	for _, l := range group[1:] {
		if l.First <= reach.Last {
			early, late := reach, l
			if late.before(early) {
				early, late = late, early
			}
			late.port.fail("%s overlaps %s (%s) on line %d", late.Ports(), early.at.field, early.Listener, early.port.line)
		}
		if l.Last > reach.Last {
			reach = l
		}
	}
}

func (l placedListener) before(other placedListener) bool { return l.order < other.order }
