package game

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Accept is one session that a backend took: a TCP connection accepted, or the
// first UDP packet of a client that it did not know.
type Accept struct {
	Time            time.Time
	Backend, Colour string
	Network         string // tcp or udp
	Client          netip.AddrPort
}

// AcceptLog holds what backends accepted, in order. Servers share one. The zero
// value is empty and ready.
type AcceptLog struct {
	mu      sync.Mutex
	entries []Accept
}

// add notes a session at the present time, taken under the lock so that the
// log is in order.
func (l *AcceptLog) add(a Accept) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.Time = time.Now()
	l.entries = append(l.entries, a)
}

// All is a copy of the log.
func (l *AcceptLog) All() []Accept {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// Since is what was accepted after t. A session opened before t may be among
// it: its accept came later.
func (l *AcceptLog) Since(t time.Time) []Accept {
	all := l.All()
	i, _ := slices.BinarySearchFunc(all, t, func(a Accept, t time.Time) int {
		if a.Time.After(t) {
			return 1
		}
		return -1
	})
	return all[i:]
}

// byClient groups entries by client address.
func byClient(entries []Accept) map[netip.AddrPort][]Accept {
	groups := map[netip.AddrPort][]Accept{}
	for _, a := range entries {
		groups[a.Client] = append(groups[a.Client], a)
	}
	return groups
}

// acceptsOf finds a session's entries among those of its client address: from
// its opening to its end. More than one means that it was taken for new again.
func acceptsOf(entries []Accept, r Report) []Accept {
	var found []Accept
	for _, a := range entries {
		if a.Network == r.Network && a.Time.After(r.OpenedAt) && (!r.Over || a.Time.Before(r.OverAt)) {
			found = append(found, a)
		}
	}
	return found
}
