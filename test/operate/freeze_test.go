package operate

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/journal"
)

// always is a freeze window that never leaves a gap.
const always = `{cron: "* * * * *", for: 1h, reason: weekend}`

// A freeze window refuses what a lock does, but for what takes a change back. A file that would lift it is refused as well,
// also by a daemon that starts, until somebody breaks it, which is told.
func TestAFrozenServiceIsNotChangedButMayGoBack(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	frozen := "freeze: [" + always + "]\n" + s.yaml()
	s.do(t, "share", "world", "5%").mustBe(t, 0, "…", "")
	s.configure(t, frozen)
	s.do(t, "plan").mustBe(t, 0, "…freeze windows: 1, before it 0\n", "")
	s.do(t, "reload").mustBe(t, 0, "…freeze windows: 1, before it 0\n", "")
	refused := func(why string, verbs ...string) {
		t.Helper()
		for _, args := range verbs {
			s.do(t, strings.Fields(args)...).mustBe(t, 5, "", "…service world: "+why)
		}
	}
	by := "frozen until …Z by the configuration: weekend; wait, or give --break-lock\n"
	refused(by, "flip world", "share world 6%", "testers world add 198.51.100.7", "evict world --generation 1 --force")
	s.do(t, "share", "world", "0%").mustBe(t, 0, "…", "")
	s.do(t, "status").mustBe(t, 0, "…world    freeze   the configuration…weekend\n…", "")
	s.do(t, "lock").mustBe(t, 0, "…world    freeze  …weekend\nworld    freeze to come…weekend\n", "")

	s.configure(t, s.yaml()) // no freeze any more
	refused(by, "reload")
	s.restartAfter(t, func() error { return nil })
	refused(by, "reload", "flip world")
	s.configure(t, "freeze: [{services: [world], cron: \"* * * * *\", for: 2h, reason: longer}]\n"+s.yaml()+"    release: {testers: [198.51.100.9]}\n")
	refused(by, "reload") // it would hold on, but a tester comes
	s.configure(t, strings.Replace(frozen, "weekend", "the cup", 1))
	s.do(t, "reload").mustBe(t, 0, "…", "") // it holds as long as before

	s.do(t, "flip", "world", "--break-lock", "--reason", "it loses items").mustBe(t, 0, "world: "+green2+" is live\n…", "")
	if e := s.mustEnd(t, "break-lock", journal.Done); e.Reason != "it loses items" || !strings.Contains(string(e.Before), "the cup") {
		t.Errorf("the journal tells of a broken freeze: %+v", e)
	}
	s.do(t, "lock", "world", "--reason", "tournament", "--for", "1h").mustBe(t, 0, "…", "")
	refused("locked by root until …", "rollback world")
	s.do(t, "unlock", "world").mustBe(t, 0, "…", "")
	s.do(t, "rollback", "world").mustBe(t, 0, "world: "+blue1+" is live\n…", "")
	s.configure(t, s.yaml())
	s.do(t, "reload", "--break-lock").mustBe(t, 0, "…no longer frozen: …ends now\n…", "")
	s.do(t, "flip", "world").mustBe(t, 0, "…", "")
	s.login(t, "green")
	s.mustBeWhole(t)
}
