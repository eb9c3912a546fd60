package nexthop

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY |
		netlink.NUD_PROBE | netlink.NUD_NOARP | netlink.NUD_PERMANENT
	static = netlink.NUD_NOARP | netlink.NUD_PERMANENT
)

// key names an entry of the kernel's neighbour table.
type key struct {
	link int
	addr netip.Addr
}

// entry is what the kernel says of a neighbour.
type entry struct {
	state int
	mac   [6]byte
	fixed bool // the operator's or a control plane's word, not an answer
}

// neighbour is a next hop in use, with what was asked about it.
type neighbour struct {
	users map[netip.Addr]struct{}

	known  bool // mac may be sent to
	mac    [6]byte
	valid  bool // the kernel's entry is usable now
	fixed  bool
	silent bool // the kernel found nobody
	err    error

	confirmed time.Time // the last answer
	probed    time.Time // the unicast question that is open, or zero
	asked     time.Time // the broadcast question that is open, or zero
}

// entryOf reads a neighbour message; ok is false for those that name no next
// hop (bridge tables, proxies).
func entryOf(n *netlink.Neigh) (id key, e entry, ok bool) {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok || n.Flags&netlink.NTF_PROXY != 0 || n.Family != unix.AF_INET && n.Family != unix.AF_INET6 {
		return key{}, entry{}, false
	}
	e = entry{
		state: n.State,
		fixed: n.State&static != 0 || n.Flags&netlink.NTF_EXT_LEARNED != 0,
	}
	copy(e.mac[:], n.HardwareAddr)
	return key{n.LinkIndex, addr}, e, true
}

// neighbour names the next hop of a path to addr; the zero key for none.
func (p path) neighbour(addr netip.Addr) key {
	switch {
	case p.state != Resolved:
		return key{}
	case p.gateway.IsValid():
		return key{p.link, p.gateway}
	}
	return key{p.link, addr}
}

// join makes addr a user of its path's neighbour, and has the kernel look for
// one that is new; one of many waits for its turn.
func (w *Watcher) join(addr netip.Addr, p path, now time.Time) {
	id := p.neighbour(addr)
	if id == (key{}) {
		return
	}
	n := w.neighbours[id]
	if n == nil {
		n = &neighbour{users: make(map[netip.Addr]struct{})}
		w.neighbours[id] = n
		w.observe(id, n, now)
		if len(w.neighbours) <= asksPerPulse {
			w.question(id, n, now)
		}
	}
	n.users[addr] = struct{}{}
}

func (w *Watcher) leave(addr netip.Addr, p path) {
	id := p.neighbour(addr)
	n := w.neighbours[id]
	if n == nil {
		return
	}
	delete(n.users, addr)
	if len(n.users) == 0 {
		delete(w.neighbours, id)
	}
}

// observe brings n up to date with the table, and marks its users.
func (w *Watcher) observe(id key, n *neighbour, now time.Time) {
	n.learn(w.table[id], now)
	w.unsettle(n)
}

func (w *Watcher) unsettle(n *neighbour) {
	for addr := range n.users {
		w.unsettled[addr] = struct{}{}
	}
}

// learn takes in the kernel's entry, or the zero entry when it has none.
//
// An entry that is gone or unusable is no reason yet to drop packets: it may
// have been flushed, or taken back by confirm to start over. The last MAC is
// used until the kernel, asked by broadcast, has found nobody.
func (n *neighbour) learn(e entry, now time.Time) {
	n.valid, n.fixed = e.state&usable != 0, e.fixed
	answered := e.state&netlink.NUD_REACHABLE != 0
	if answered {
		n.confirmed = now
	}
	if answered || !n.valid || e.mac != n.mac {
		n.probed = time.Time{}
	}
	switch {
	case n.valid:
		n.mac, n.known, n.silent, n.err = e.mac, true, false, nil
		n.asked = time.Time{}
	case e.state&netlink.NUD_FAILED != 0 && !n.asked.IsZero():
		n.known, n.silent = false, true
		n.asked = time.Time{}
	}
}

// why says what is wrong with a neighbour that is not known.
func (n *neighbour) why(addr netip.Addr, ifname string) string {
	switch {
	case errors.Is(n.err, unix.ENOBUFS):
		return "the kernel's neighbour table is full (net.ipv4.neigh.default.gc_thresh3, net.ipv6 likewise)"
	case n.err != nil:
		return n.err.Error()
	case n.silent:
		return fmt.Sprintf("%s does not answer on %s", addr, ifname)
	}
	return fmt.Sprintf("waiting for %s to answer on %s", addr, ifname)
}
