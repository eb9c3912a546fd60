package game

import (
	"net/netip"
	"time"
)

// Report is what a session saw.
type Report struct {
	Network  string
	Client   netip.AddrPort
	OpenedAt time.Time // before the first packet was sent
	// Backend and Colour are those of the first answer, empty before it.
	Backend, Colour string
	Answers         uint64
	Broken          []string
	Over            bool      // ended, by whichever side
	OverAt          time.Time // when, if it is over
}

// Report says what the session saw until now.
func (s *Session) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report()
}

// Wait waits until the report is what the caller waits for, or the session is
// over, and returns it. A session that plays is broken by silence in the end,
// so a caller who looks at Broken, too, does not wait for ever.
func (s *Session) Wait(ready func(Report) bool) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		r := s.report()
		if r.Over || ready(r) {
			return r
		}
		s.changed.Wait()
	}
}

// report is the report; the caller holds the lock.
func (s *Session) report() Report {
	return Report{
		Network: s.network, Client: s.client, OpenedAt: s.openedAt,
		Backend: s.judge.backend, Colour: s.judge.colour, Answers: s.judge.answered,
		Broken: s.judge.reasons(), Over: s.over.Load(), OverAt: s.overAt,
	}
}
