package explain

import (
	"fmt"
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

// session: with affinity client a new flow joins its client's session. Where there is none it begins one, which is steered
// by the client alone.
func (w *walk) session() (bool, error) {
	s := w.service
	if s.Affinity == maps.AffinityFlow || s.SessionVIP[w.family] == 0 {
		return false, nil
	}
	id, err := w.joined()
	if err != nil {
		return true, err
	}
	if id == 0 {
		for _, rule := range []func() (bool, error){w.busy, w.limit} {
			if over, err := rule(); over || err != nil {
				return over, err
			}
		}
		generation, ids, err := w.choose(netip.AddrPortFrom(w.Client.Addr(), 0), 0, false)
		if err != nil {
			return true, err
		}
		if len(ids) == 0 {
			return w.drop("drop_no_generation")
		}
		id = ids[0]
		w.say(StepSession, fmt.Sprintf("begins on %s of %s", w.server(id), w.name(generation)))
	}
	b, _ := w.k.Backend(w.family, id)
	w.preset, w.Generation = id, b.Generation
	if s.Affinity == maps.AffinityClient {
		w.Backends = []uint16{id}
	}
	return false, nil
}

// joined is the backend of a session that a new flow may join; 0: there is none.
func (w *walk) joined() (uint16, error) {
	session, there, err := w.k.Find(netip.AddrPortFrom(w.Client.Addr(), 0), 0, w.service.SessionVIP[w.family])
	if err != nil {
		return 0, err
	}
	if !there {
		w.say(StepSession, "the client has none")
		return 0, nil
	}
	b, _ := w.k.Backend(w.family, session.Backend)
	on := fmt.Sprintf("on %s of %s", w.server(session.Backend), w.name(b.Generation))
	idle, linger := w.silence(session), w.timeout(session, maps.ProtocolSession)
	switch {
	case idle > linger:
		w.say(StepSession, fmt.Sprintf("none: the one %s has lingered for longer than %v", on, w.span(linger)))
	case w.leaves(session):
		w.say(StepSession, fmt.Sprintf("none: the one %s leaves it", on))
	case w.capped(session, b):
		w.say(StepSession, fmt.Sprintf("none: the one %s, which drains, has been open to new flows for as long as linger allows", on))
	case session.State == maps.Closing:
		w.say(StepSession, fmt.Sprintf("%s, without a flow for %v: the client rejoins it", on, w.span(idle)))
		return session.Backend, nil
	default:
		w.say(StepSession, on)
		return session.Backend, nil
	}
	return 0, nil
}

// capped: a session of a generation that drains, or of a backend that takes no new ones, may be joined for so long after the
// first end of one of its flows, or after that began.
func (w *walk) capped(session maps.Flow, b maps.Backend) bool {
	steer, first := w.k.Steer(w.Service), w.k.FirstEnd(session)
	since := w.k.Flipped(w.Service)
	if b.Generation == steer.Live || b.Generation == steer.Candidate {
		if since = w.k.Retired(w.family, session.Backend); since == 0 {
			return false
		}
	}
	if first == 0 {
		return false
	}
	if int32(since-first) > 0 {
		first = since
	}
	return int32(w.host.Now-first) > int32(w.service.LingerCap)
}
