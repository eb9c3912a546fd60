package operate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/lab"
)

// history is what the daemon tells of its journal.
func (s *stage) history(t *testing.T, req api.HistoryRequest) (all []journal.Event) {
	t.Helper()
	err := s.host.Client.History(t.Context(), req, func(e journal.Event) error { all = append(all, e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mustEnd finds the newest act of a kind, which must have ended in that way, and gives its beginning.
func (s *stage) mustEnd(t *testing.T, what string, stage journal.Stage) journal.Event {
	t.Helper()
	all := s.history(t, api.HistoryRequest{Act: what})
	if len(all) < 2 {
		t.Fatalf("%s: the journal has %+v", what, all)
	}
	begun, end := all[len(all)-2], all[len(all)-1]
	if begun.Stage != journal.Begun || end.Stage != stage || end.Of != begun.Seq || end.Reason != "" {
		t.Errorf("%s: the journal has %+v, then %+v", what, begun, end)
	}
	return begun
}

// Every act of an operator is in the journal with who he is, why, and what it changed; so is the proof of a drain. What
// was refused changed nothing and is not there.
func TestEveryActIsInTheJournal(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	for _, row := range []struct{ what, args, before, after string }{
		{"testers", "testers world add 198.51.100.7", `"testers":0`, `"added":["198.51.100.7"]`},
		{"share", "share world 0.25%", `"ten_thousandths":0`, `"ten_thousandths":25`},
		{"flip", "flip world", `"colour":"blue"`, `"colour":"green"`},
		{"evict", "evict world --generation 1 --batch 1 --every 100ms", ``, `"found":2`},
		{"rollback", "rollback world", `"colour":"green"`, `"colour":"blue"`},
	} {
		args := append(strings.Fields(row.args), "--reason", "because of "+row.what)
		s.do(t, args...).mustBe(t, 0, "…", "")
		e := s.mustEnd(t, row.what, journal.Done)
		if e.Actor.User != "root" || e.Actor.PID == 0 || e.Actor.Daemon || e.Reason != "because of "+row.what || e.Service != "world" {
			t.Errorf("%s: %+v", row.what, e)
		}
		if !strings.Contains(string(e.Before), row.before) || !strings.Contains(string(e.After), row.after) {
			t.Errorf("%s: from %s to %s", row.what, e.Before, e.After)
		}
	}
	before := len(s.history(t, api.HistoryRequest{}))
	s.do(t, "flip", "nowhere").mustBe(t, 2, "", "…")
	s.do(t, "evict", "world", "--generation", "1").mustBe(t, 5, "", "…")
	s.do(t, "reload").mustBe(t, 0, "no changes: nothing was written\n", "")
	if after := len(s.history(t, api.HistoryRequest{})); after != before {
		t.Errorf("what changed nothing made %d events", after-before)
	}
	s.configure(t, s.yaml()+"    release: {testers: [198.51.100.9]}\n")
	s.do(t, "reload", "--reason", "a tester more").mustBe(t, 0, "…", "")
	if e := s.mustEnd(t, "reload", journal.Done); !strings.Contains(string(e.After), "new tester 198.51.100.9/32") {
		t.Errorf("reload: %s", e.After)
	}
	s.fleet.Logout(1)
	s.do(t, "drain", "world", "--wait").mustBe(t, 0, "…", "")
	drained := s.history(t, api.HistoryRequest{Act: "drained", Last: 1})
	if len(drained) != 1 || !drained[0].Actor.Daemon || !strings.Contains(string(drained[0].After), `"new_since_flip":0`) {
		t.Errorf("drained: %+v", drained)
	}
	s.do(t, "journal", "verify", "--file", s.journal()).mustBe(t, 0, "…, sound\n…", "")
}

func (s *stage) journal() string { return filepath.Join(s.host.Options().StateDir, journal.FileName) }

// A lock refuses every change of its service, says why, outlives a restart, can be broken, which is told, and is over with
// its time.
func TestALockedServiceIsNotChanged(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	s.do(t, "lock", "world", "--reason", "tournament", "--for", "1h").mustBe(t, 0, "world: locked until …", "")
	changed := s.yaml() + "    release: {testers: [198.51.100.9]}\n"
	refused := func() {
		t.Helper()
		for _, args := range []string{
			"flip world", "share world 5%", "testers world add 198.51.100.7", "evict world --generation 1 --force", "reload",
		} {
			s.do(t, strings.Fields(args)...).mustBe(t, 5, "", "…service world: locked by root until …: tournament; wait, ask him, or give --break-lock\n")
		}
	}
	s.configure(t, changed)
	refused()
	s.do(t, "status").mustBe(t, 0, "…\nSERVICE  HELD BY…world    lock     root…tournament\n…", "")
	s.restartAfter(t, func() error { return nil }) // what the file has new is as locked as before
	refused()
	s.login(t, "blue")
	s.mustBeWhole(t)
	s.do(t, "flip", "world", "--break-lock", "--reason", "it loses items").mustBe(t, 0, "world: "+green2+" is live\n…", "")
	if e := s.mustEnd(t, "break-lock", journal.Done); e.Reason != "it loses items" || !strings.Contains(string(e.Before), "tournament") {
		t.Errorf("the journal tells of a broken lock: %+v", e)
	}
	s.do(t, "rollback", "world").mustBe(t, 5, "", "…locked by root…")
	s.restartAfter(t, s.reboot) // nothing is there that a lock could keep as it is
	s.do(t, "flip", "world").mustBe(t, 5, "", "…locked by root…")
	s.do(t, "unlock", "world").mustBe(t, 0, "world: not locked any more\n", "")
	s.do(t, "unlock", "world").mustBe(t, 5, "", "…it is not locked\n")
	s.do(t, "flip", "world").mustBe(t, 0, "world: …", "")
	s.do(t, "lock", "world", "--reason", "a moment", "--for", "1s").mustBe(t, 0, "…", "")
	lab.Eventually(t, "the end of the lock's time", func() bool { return s.service(t).Lock == nil })
	s.do(t, "rollback", "world").mustBe(t, 0, "world: …", "")
}

// A journal that somebody changed is kept aside, and the daemon, which says so, goes on.
func TestAChangedJournalIsToldAndSetAside(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.do(t, "flip", "world", "--reason", "version 2.0").mustBe(t, 0, "…", "")
	s.restartAfter(t, func() error {
		text, err := os.ReadFile(s.journal())
		if err != nil {
			return err
		}
		changed := strings.Replace(string(text), "version 2.0", "version 1.9", 1)
		return os.WriteFile(s.journal(), []byte(changed), 0o600)
	})
	first := s.history(t, api.HistoryRequest{})[0]
	if first.Act != "journal" || !strings.Contains(first.Reason, "damaged") {
		t.Errorf("the new journal begins with %+v", first)
	}
	aside, err := filepath.Glob(s.journal() + ".damaged-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %q, %v", aside, err)
	}
	s.do(t, "journal", "verify", "--file", aside[0]).mustBe(t, 1, "", "…it does not follow from the line before it, or was changed\n")
}
