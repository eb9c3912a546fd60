package nexthop

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pulse is how often it is looked what has become due.
	pulse = 50 * time.Millisecond
	// patience is how long a probe may stay unanswered.
	patience = 3 * pulse
	// insist is how often a neighbour that is not there is asked for. The
	// kernel sends a broadcast a second while it looks, so there is nothing
	// to back off from.
	insist = time.Second
	// asksPerPulse bounds the questions: 2,000 a second, whatever the number of
	// neighbours. So 800 of them can be asked within DefaultReconfirm.
	asksPerPulse = 100
	// look is about how long it takes to see whether a neighbour is due, times
	// fifty: all of them take a fiftieth of a CPU.
	look = 5 * time.Microsecond
)

// prober is what confirm needs of the kernel.
type prober interface {
	resolve(key) error
	probe(key) error
	distrust(key) error
}

// reconfirm asks what has become due about all neighbours in use.
//
// It goes by the clock, yet polls nothing that the kernel could tell: the kernel
// asks a neighbour again only when it sends to it itself, and here XDP sends.
// An entry would stay REACHABLE, then STALE, for as long as a backend that took
// another MAC without announcing it keeps quiet. Answers and announcements come
// as events.
//
// With more neighbours than can be asked in time, an answer is believed for
// longer; who gets no turn gets one soon, since walks begin anywhere.
func (w *Watcher) reconfirm(now time.Time) {
	since := now.Sub(w.reviewed)
	if since < time.Duration(len(w.neighbours))*look {
		return
	}
	w.reviewed = now
	left := asksPerPulse * int(min(max(since/pulse, 1), 20))
	for id, n := range w.neighbours {
		if left == 0 {
			return
		}
		w.question(id, n, now)
		if n.asked.Equal(now) || n.probed.Equal(now) {
			left--
		}
	}
}

// believe is how long an answer is believed.
func (w *Watcher) believe() time.Duration {
	return max(w.opts.Reconfirm, time.Duration(len(w.neighbours))*pulse/asksPerPulse)
}

// lapse forgets what was learned over a link that is down: what comes back
// on it may be another network.
func (n *neighbour) lapse() {
	if !n.fixed {
		users := n.users
		*n = neighbour{users: users}
	}
}

func (w *Watcher) question(id key, n *neighbour, now time.Time) {
	l := w.links[id.link]
	if l.down() != "" {
		n.lapse()
		return
	}
	could := n.err == nil
	n.confirm(w.kernel, id, w.believe(), now)
	if can := n.err == nil; can != could {
		w.unsettle(n)
		if !can {
			w.opts.Logger.Warn("neighbour not asked", "address", id.addr, "interface", l.name, "err", n.err)
		}
	}
}

// confirm asks the next question about a neighbour, if one is due: by unicast
// while it is usable, and when that stays without answer, by broadcast. The
// kernel's own way from one to the other takes three seconds (ucast_solicit) or
// ends in FAILED, so it is told to start over.
//
// A static entry is never touched. One made static since the last event was
// read would be, which is why events are taken in before the clock is. What went
// wrong is left in n.err until a question can be asked again.
func (n *neighbour) confirm(k prober, id key, every time.Duration, now time.Time) {
	switch {
	case n.fixed:
	case !n.valid:
		if now.Sub(n.asked) >= every {
			n.ask(k, id, now)
		}
	case !n.probed.IsZero():
		if now.Sub(n.probed) >= patience {
			n.restart(k, id, now)
		}
	case now.Sub(n.confirmed) >= every:
		n.probe(k, id, now)
	}
}

func (n *neighbour) probe(k prober, id key, now time.Time) {
	err := k.probe(id)
	if errors.Is(err, unix.EINVAL) { // it has just stopped being usable
		n.ask(k, id, now)
		return
	}
	n.probed, n.err = now, nil
	if err != nil {
		n.probed, n.err = time.Time{}, fmt.Errorf("probe neighbour: %w", err)
	}
}

func (n *neighbour) restart(k prober, id key, now time.Time) {
	if err := k.distrust(id); err != nil {
		n.err = fmt.Errorf("restart resolution: %w", err)
		return
	}
	n.valid, n.probed = false, time.Time{}
	n.ask(k, id, now)
}

// ask has the kernel look for the neighbour. While it already does, this
// changes nothing.
func (n *neighbour) ask(k prober, id key, now time.Time) {
	if !n.asked.IsZero() && now.Sub(n.asked) < insist {
		return
	}
	n.asked, n.err = now, nil
	if err := k.resolve(id); err != nil {
		n.err = fmt.Errorf("resolve neighbour: %w", err)
	}
}
