package e2e

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
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

// A colour that is said to be drained is done with: an orphan of it that comes later goes to the live one, where nobody
// knows it. test/datapath shows that without the seal it does not.
func TestAnOrphanAfterTheProofNoLongerGoesToTheColourThatHasDrained(t *testing.T) {
	t.Parallel()
	for _, vip := range []netip.Addr{lab.VIP4, lab.VIP6} {
		s := mustStage(t, setting{networks: []string{"tcp"}, vips: []netip.Addr{vip}, timeouts: calm})
		tab := s.table(t)
		session := s.mustSession(t)
		s.flip(t)
		w := s.watchDrain(t)
		eventually(t, "the drain to end", func() bool {
			tab.forget(t, session.Report().Client) // again: an ACK that was delayed is an orphan, too
			return s.generation(t, blue).State == api.StateDrained
		})
		w.mustEnd(t)
		before := s.generation(t, blue).Orphans
		if err := session.Ask(); err == nil {
			t.Error("a session of the drained colour was answered: its pin was to be over")
		}
		if g := s.generation(t, blue); g.Sessions.Total != 0 || g.Orphans != before || g.NewSinceFlip != 0 {
			t.Errorf("after the proof blue got %d sessions, %d orphans, %d new", g.Sessions.Total, g.Orphans-before, g.NewSinceFlip)
		}
		if g := s.generation(t, green); g.Orphans == 0 {
			t.Error("green got no orphan: this test sees nothing")
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
