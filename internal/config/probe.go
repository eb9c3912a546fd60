package config

import (
	"fmt"
	"strings"
	"time"
)

// Probe is one way to ask the candidate over the real VIPs, as a player would. Exactly one of TCP, UDP and HTTP says how; its
// port is a listener's, and each VIP that has it is asked.
type Probe struct {
	TCP     uint16 // port that takes connections
	UDP     *UDPCheck
	HTTP    *HTTPCheck
	Timeout time.Duration
}

// Port is the one that is asked.
func (p Probe) Port() uint16 {
	switch {
	case p.UDP != nil:
		return p.UDP.Port
	case p.HTTP != nil:
		return p.HTTP.Port
	}
	return p.TCP
}

// Protocol is the one by which it asks.
func (p Probe) Protocol() Protocol {
	if p.UDP != nil {
		return UDP
	}
	return TCP
}

// String names a probe by its kind and port.
func (p Probe) String() string {
	kind := p.Protocol().String()
	if p.HTTP != nil {
		kind = "http"
	}
	return fmt.Sprintf("%s %d", kind, p.Port())
}

const (
	defaultProbeTimeout = 2 * time.Second
	maxProbes           = 16
)

var probeKinds = []string{"tcp", "udp", "http"}

// probes reads those of a service with these listeners.
func (v value) probes(listeners []placedListener) (out []Probe) {
	items, ok := v.list()
	if !ok {
		return nil
	}
	if len(items) > maxProbes {
		v.fail("%d probes are more than %d", len(items), maxProbes)
		return nil
	}
	for _, item := range items {
		p, ok := item.probe()
		if !ok {
			continue
		}
		has := false
		for _, l := range listeners {
			has = has || l.Takes(p)
		}
		if !has {
			item.fail("no %s listener of the service has port %d", p.Protocol(), p.Port())
			continue
		}
		out = append(out, p)
	}
	return out
}

func (v value) probe() (Probe, bool) {
	p := Probe{Timeout: defaultProbeTimeout}
	fields, ok := v.mapping(append([]string{"timeout"}, probeKinds...)...)
	if !ok {
		return p, false
	}
	var h Health // what it has in common with health checks is read as theirs
	kinds := 0
	for _, kind := range probeKinds {
		if at, ok := fields.get(kind); ok {
			kinds++
			at.healthKind(kind, &h)
		}
	}
	if kinds != 1 {
		v.fail("want one of %s", strings.Join(probeKinds, ", "))
		return p, false
	}
	fields.checkTime("timeout", &p.Timeout)
	p.TCP, p.UDP, p.HTTP = h.TCP, h.UDP, h.HTTP
	return p, p.Port() != 0
}

// Takes says whether a probe comes to a listener.
func (l Listener) Takes(p Probe) bool {
	return l.Protocol == p.Protocol() && (l.All() || l.First <= p.Port() && p.Port() <= l.Last)
}
