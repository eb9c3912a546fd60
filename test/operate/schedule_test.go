package operate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/lab"
)

// soon is when something is scheduled before whose time a test has more to do: what it does takes far less, also on a
// machine with other work.
const soon = 15 * time.Second

// shortly is when something is scheduled that a test waits for: the command has to come to the daemon before.
const shortly = 5 * time.Second

// ahead writes a time that long from now, or a part of a second later: it has whole seconds.
func ahead(in time.Duration) string {
	return time.Now().Add(in + time.Second - 1).UTC().Format(time.RFC3339)
}

// at schedules a flip that long from now.
func (s *stage) at(t *testing.T, in time.Duration, flags ...string) api.Scheduled {
	t.Helper()
	return s.schedule(t, "flip", in, flags...)
}

func (s *stage) schedule(t *testing.T, verb string, in time.Duration, flags ...string) api.Scheduled {
	t.Helper()
	out := s.do(t, append([]string{verb, "world", "--at", ahead(in), "-o", "json"}, flags...)...)
	out.mustBe(t, 0, "…", "")
	var res api.Scheduled
	if err := json.Unmarshal([]byte(out.stdout), &res); err != nil {
		t.Fatal(err)
	}
	return res
}

// mustTurnOut waits until something scheduled is over, in that way.
func (s *stage) mustTurnOut(t *testing.T, number uint64, state, detail string) {
	t.Helper()
	var is api.Scheduled
	lab.Eventually(t, "the time of what is scheduled", func() bool {
		for _, is = range s.host.Status(t).Schedule {
			if is.Number == number {
				return is.State != api.ScheduledPending
			}
		}
		return false
	})
	if is.State != state || !strings.Contains(is.Detail, detail) || is.Finished == nil {
		t.Errorf("number %d became %+v, want %s, %q", number, is, state, detail)
	}
}

// past waits for a time on the clock.
func past(t *testing.T, at time.Time) error {
	lab.Eventually(t, "a time on the clock", func() bool { return time.Now().After(at) })
	return nil
}

func TestAScheduledFlipIsDoneAtItsTimeAsIfItWasTypedThen(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	s.mustTurnOut(t, s.at(t, shortly, "--reason", "version 2.0").Number, api.ScheduledDone, "0 new sessions")
	s.login(t, "green")
	for _, what := range []string{"scheduled", "flip"} {
		if e := s.mustEnd(t, what, journal.Done); e.Actor.User != "root" || e.Actor.Daemon || e.Reason != "version 2.0" {
			t.Errorf("the journal tells of %s: %+v", what, e)
		}
	}
	// What is so already is not undone.
	back := s.at(t, soon)
	s.do(t, "rollback", "world").mustBe(t, 0, "…", "")
	s.mustTurnOut(t, back.Number, api.ScheduledDone, "it was so already")
	s.login(t, "blue")
	// A lock refuses it, and says so.
	locked := s.at(t, soon)
	s.do(t, "lock", "world", "--reason", "tournament", "--for", "1h").mustBe(t, 0, "…", "")
	s.mustTurnOut(t, locked.Number, api.ScheduledFailed, "locked by root")
	s.do(t, "schedule").mustBe(t, 0, "…flip to generation 2 …failed: service world: locked by root…", "")
	s.do(t, "unlock", "world").mustBe(t, 0, "…", "")
	// Taken back it is not done, and a freeze that is known is told now.
	later := s.at(t, time.Hour)
	s.do(t, "schedule", "cancel", "world", "--reason", "not today").mustBe(t, 0, "world: number 4, flip to generation 2 at …, is taken back\n", "")
	s.mustTurnOut(t, later.Number, api.ScheduledTakenBack, "by root")
	s.do(t, "schedule", "cancel", "4").mustBe(t, 2, "", "…number 4: it is not scheduled, or over\n…")
	s.do(t, "flip", "world", "--at", "2020-01-01 12:00").mustBe(t, 2, "", "…2020-01-01T12:00:00Z is over\n…")
	s.configure(t, "freeze: ["+always+"]\n"+s.yaml())
	s.do(t, "reload").mustBe(t, 0, "…", "")
	s.do(t, "flip", "world", "--at", "14:00", "--time-zone", "Europe/Berlin").mustBe(t, 5, "", "…service world: frozen at …, until …, by the configuration: weekend; name another time, or give --break-lock\n")
	s.mustBeWhole(t)
}

func TestWhatIsScheduledSurvivesARestartAndIsMissedAfterItsGrace(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	missed := s.at(t, soon, "--grace", "1s")
	s.restartAfter(t, func() error { return past(t, missed.At.Add(1100*time.Millisecond)) })
	s.mustTurnOut(t, missed.Number, api.ScheduledMissed, "later than its grace of 1s")
	if e := s.history(t, api.HistoryRequest{Act: "missed"}); len(e) != 1 || !e[0].Actor.Daemon || e[0].Service != "world" {
		t.Errorf("the journal tells of what was missed: %+v", e)
	}
	s.login(t, "blue")
	late := s.at(t, soon)
	far := s.at(t, time.Hour)
	s.restartAfter(t, func() error { return past(t, late.At) })
	s.mustTurnOut(t, late.Number, api.ScheduledDone, "")
	s.login(t, "green")
	s.restartAfter(t, s.reboot)
	for _, is := range s.host.Status(t).Schedule {
		if is.Number == far.Number && (is.State != api.ScheduledPending || !is.At.Equal(far.At)) {
			t.Errorf("after a reboot it is %+v", is)
		}
	}
	s.login(t, "green")
}

// A release that is scheduled begins at its time, of the generation that was meant, as if it was typed then.
func TestAScheduledReleaseBeginsAtItsTime(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.releases(t, "session", "bake: 1s")
	s.login(t, "blue")
	far := s.schedule(t, "release", time.Hour)
	s.restartAfter(t, func() error { return nil })
	s.do(t, "schedule").mustBe(t, 0, "…release of generation 2…pending…", "")
	s.do(t, "schedule", "cancel", fmt.Sprint(far.Number)).mustBe(t, 0, "…", "")
	first := s.schedule(t, "release", soon, "--reason", "version 2.0")
	s.restartAfter(t, func() error { return nil })
	s.mustTurnOut(t, first.Number, api.ScheduledDone, "release 1 has begun")
	if r := s.mustBecome(t, "draining"); r.To.Number != 2 || r.By != first.By || r.Reason != "version 2.0" {
		t.Errorf("%+v", r)
	}
	s.login(t, "green")
	s.mustBeWhole(t)
	s.fleet.Logout(1)
	s.mustBecome(t, "done")
	// Somebody flips meanwhile: what is idle then is not what was meant.
	back := s.schedule(t, "release", soon)
	s.do(t, "flip", "world").mustBe(t, 0, "…", "")
	s.mustTurnOut(t, back.Number, api.ScheduledFailed, "it would be a release of generation 2, and one of generation 1 was meant")
	s.login(t, "blue")
	s.mustBeWhole(t)
}
