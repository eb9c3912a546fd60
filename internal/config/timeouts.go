package config

import (
	"strings"
	"time"
)

// Timeouts is how long a flow may be silent before its pin ends, a state of
// the flow each. All are whole seconds: the clock of the data path ticks so.
type Timeouts struct {
	TCP         time.Duration // established
	TCPHalfOpen time.Duration // before the client's ACK
	TCPClosing  time.Duration // after FIN or RST
	UDP         time.Duration // established
	UDPNew      time.Duration // before the client's second packet
	ReuseAfter  time.Duration // silence after which a SYN is a new session
	Linger      time.Duration // affinity client: a session after its last flow
	LingerCap   time.Duration // affinity client: after its first flow's end, while its generation drains
}

// maxTimeout bounds what a flow's coarse clock has to tell apart.
const maxTimeout = 30 * 24 * time.Hour

// minLinger is the least time that spans two sweeps.
const minLinger = 15 * time.Second

// DefaultTimeouts gives what holds where the file says nothing.
// docs/configuration.md justifies each.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		TCP:         2 * time.Hour,
		TCPHalfOpen: 30 * time.Second,
		TCPClosing:  60 * time.Second,
		UDP:         60 * time.Second,
		UDPNew:      10 * time.Second,
		ReuseAfter:  5 * time.Minute,
		Linger:      60 * time.Second,
		LingerCap:   10 * time.Minute,
	}
}

func (v value) timeouts() Timeouts {
	t := DefaultTimeouts()
	fields, ok := v.mapping("tcp", "tcp_half_open", "tcp_closing", "udp", "udp_new", "reuse_after", "linger", "linger_cap")
	if !ok {
		return t
	}
	sound := fields.timeout("tcp", &t.TCP)
	sound = fields.timeout("tcp_half_open", &t.TCPHalfOpen) && sound
	sound = fields.timeout("tcp_closing", &t.TCPClosing) && sound
	sound = fields.timeout("udp", &t.UDP) && sound
	sound = fields.timeout("udp_new", &t.UDPNew) && sound
	sound = fields.timeout("reuse_after", &t.ReuseAfter) && sound
	sound = fields.timeout("linger", &t.Linger) && sound
	sound = fields.timeout("linger_cap", &t.LingerCap) && sound
	if sound && t.Linger < minLinger {
		at, _ := fields.get("linger")
		at.fail("%s is less than %s: sweeps renew a session whose flows are silent, and are up to 5s apart", short(t.Linger), short(minLinger))
		sound = false
	}
	if sound {
		fields.notOver("tcp_half_open", t.TCPHalfOpen, "tcp", t.TCP)
		fields.notOver("tcp_closing", t.TCPClosing, "tcp", t.TCP)
		fields.notOver("udp_new", t.UDPNew, "udp", t.UDP)
		fields.notOver("linger", t.Linger, "linger_cap", t.LingerCap)
	}
	return t
}

// timeout reads key into at, which keeps its default where key is not there.
func (m mapping) timeout(key string, at *time.Duration) bool {
	v, ok := m.get(key)
	if !ok {
		return true
	}
	d, ok := v.duration()
	switch {
	case !ok:
		return false
	case d <= 0:
		v.fail("%s: a flow would end before its first packet", short(d))
	case d > maxTimeout:
		v.fail("%s is over 30 days (720h)", short(d))
	case d%time.Second != 0:
		v.fail("%s is not a whole number of seconds", short(d))
	default:
		*at = d
		return true
	}
	return false
}

// notOver refuses that a flow which has proved less lives longer.
func (m mapping) notOver(key string, d time.Duration, bound string, limit time.Duration) {
	if d <= limit {
		return
	}
	at, written := m.get(key)
	if !written {
		at, _ = m.get(bound)
		at.fail("%s is less than %s (%s by default): set both", short(limit), key, short(d))
		return
	}
	at.fail("%s is more than %s (%s)", short(d), bound, short(limit))
}

// short writes d without the zeros of d.String: 2h, not 2h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
