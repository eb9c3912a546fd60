package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is one VIP, protocol and port or port range of a service.
type Listener struct {
	VIP         netip.Addr
	Protocol    Protocol
	First, Last uint16 // equal for a single port, 0 for all
}

// allPorts is how the file writes every port that has no listener of its own.
const allPorts = "all"

// All says whether l is for every port that has no listener of its own.
func (l Listener) All() bool { return l.First == 0 }

// String gives, for example, "203.0.113.10 udp 7777-7800".
func (l Listener) String() string { return fmt.Sprintf("%s %s %s", l.VIP, l.Protocol, l.Ports()) }

// Ports gives the port or the range as the file writes it.
func (l Listener) Ports() string {
	if l.All() {
		return allPorts
	}
	if l.First == l.Last {
		return strconv.Itoa(int(l.First))
	}
	return fmt.Sprintf("%d-%d", l.First, l.Last)
}

func (l Listener) count() int { return int(l.Last) - int(l.First) + 1 }

// placedListener is a listener and where the file says so.
type placedListener struct {
	Listener
	at    value
	port  value
	order int // counts the listeners of the file
}

func (v value) listeners() ([]placedListener, bool) {
	items, sound := v.list()
	list := make([]placedListener, 0, len(items))
	for _, item := range items {
		l, ok := item.listener()
		if !ok {
			sound = false
			continue
		}
		list = append(list, l)
	}
	return list, sound
}

func (v value) listener() (placedListener, bool) {
	v.remember()
	v.d.listeners++
	l := placedListener{at: v, order: v.d.listeners}
	fields, ok := v.mapping("vip", "protocol", "port")
	if !ok {
		return l, false
	}
	vip, hasVIP := fields.need("vip")
	if hasVIP {
		l.VIP, hasVIP = vip.address()
	}
	proto, hasProto := fields.need("protocol")
	if hasProto {
		l.Protocol, hasProto = proto.protocol()
	}
	port, hasPort := fields.need("port")
	if hasPort {
		l.port = port
		l.First, l.Last, hasPort = port.portRange()
	}
	return l, hasVIP && hasProto && hasPort
}

// portRange reads N, N-M or all.
func (v value) portRange() (first, last uint16, ok bool) {
	text, ok := v.text()
	if !ok {
		return 0, 0, false
	}
	if text == allPorts {
		return 0, 0, true
	}
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	if !isDecimal(from) || !isDecimal(to) {
		v.fail("want a port such as 7777, a range such as 7777-7800 or all, got %s", quote(text))
		return 0, 0, false
	}
	lo, errLo := strconv.ParseUint(from, 10, 16)
	hi, errHi := strconv.ParseUint(to, 10, 16)
	switch {
	case errLo != nil || errHi != nil || lo == 0 || hi == 0:
		v.fail("%s: a port is 1 to 65535", plain(text))
	case lo > hi:
		v.fail("%s is reversed: write %d-%d", plain(text), hi, lo)
	default:
		return uint16(lo), uint16(hi), true
	}
	return 0, 0, false
}
