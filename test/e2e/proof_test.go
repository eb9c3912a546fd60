package e2e

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/ebbtide/ebbtide/test/game"
)

// An orphan comes when the first sweep of the proof has counted none and orphans are not yet sealed out: a session whose
// pin had expired says something. Its pin is new, and the second sweep has to find it.
func TestAnOrphanBehindTheFirstSweepOfTheProofKeepsItsColourAndTheDrainGoesOn(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, stopOn: "drain: seal"})
	tab := s.table(t)
	session := s.mustSession(t)
	s.flip(t)
	w := s.watchDrain(t)
	tab.quieten(t, session.Report().Client, 100) // longer than any timeout: there is no session, says the table
	if err := s.host.Stopped(); err != nil {
		t.Fatal(err)
	}
	if err := session.Ask(); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.swept(t)
	s.swept(t)
	w.mustWait(t)
	g := s.generation(t, blue)
	if g.Sessions.Total != 1 || g.Orphans == 0 || g.NewSinceFlip != 0 {
		t.Errorf("blue after the orphan: %d sessions, %d orphans, %d new; want 1, some, 0", g.Sessions.Total, g.Orphans, g.NewSinceFlip)
	}
	s.mustAsk(t, session)
	session.Logout()
	w.mustEnd(t)
	if r := session.Report(); len(r.Broken) != 0 || r.Colour != "blue" {
		t.Errorf("the orphan's session: %+v", r)
	}
}

func TestAnOrphanBeforeTheProofGoesToTheColourThatDrains(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}})
	tab := s.table(t)
	session, other := s.mustSession(t), s.mustSession(t) // the other one keeps blue from being drained
	s.flip(t)
	w := s.watchDrain(t)
	for range 3 {
		tab.quieten(t, session.Report().Client, 100)
		s.mustAsk(t, session)
		s.mustAsk(t, other)
	}
	w.mustWait(t)
	if g := s.generation(t, blue); g.Orphans != 3 || g.NewSinceFlip != 0 {
		t.Errorf("blue counts %d orphans and %d new sessions since the flip, want 3 and 0", g.Orphans, g.NewSinceFlip)
	}
	session.Logout()
	other.Logout()
	w.mustEnd(t)
	for _, r := range []game.Report{session.Report(), other.Report()} {
		if len(r.Broken) != 0 || r.Colour != "blue" {
			t.Errorf("a session on blue: %+v", r)
		}
	}
}

// mustSession is one that is stepped by hand, with two answers.
func (s *stage) mustSession(t *testing.T) *game.Session {
	t.Helper()
	return s.mustSessionFrom(t, netip.AddrPort{})
}

func (s *stage) mustAsk(t *testing.T, session *game.Session) {
	t.Helper()
	if err := session.Ask(); err != nil {
		t.Fatal(err)
	}
}
