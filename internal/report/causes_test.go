package report_test

import (
	"encoding/json"
	"testing"

	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/report"
)

func TestTheJournalSaysWhoBroughtAGenerationWhereItIs(t *testing.T) {
	var c report.Causes
	seq := uint64(0)
	act := func(what, user, reason, before, after string, stage journal.Stage) {
		seq++
		e := journal.Event{Seq: seq, Act: what, Service: "world", Reason: reason, Actor: journal.Actor{User: user, Daemon: user == ""}, Stage: journal.Begun,
			Before: json.RawMessage(before), After: json.RawMessage(after)}
		if stage == journal.Note {
			e.Stage = stage
			c.Add(e)
			return
		}
		c.Add(e)
		seq++
		c.Add(journal.Event{Seq: seq, Of: e.Seq, Stage: stage})
	}
	want := func(number uint32, state, by string) {
		t.Helper()
		if got := c.Of("world", number, state); got != by {
			t.Errorf("generation %d is %s by %q, want %q", number, state, got, by)
		}
	}
	act("reload", "ann", "2.0", ``, `{"changes":[{"service":"world","what":"new generation 2 on green: version 2.0"}]}`, journal.Done)
	want(2, "candidate", "ann: 2.0")
	act("flip", "bob", "", `{"live":{"number":1}}`, `{"live":{"number":2}}`, journal.Failed)
	want(2, "live", "")
	act("flip", "bob", "", `{"live":{"number":1}}`, `{"live":{"number":2}}`, journal.Done)
	want(2, "live", "bob")
	want(1, "draining", "bob")
	want(1, "drained", "bob")
	want(1, "inconclusive", "bob")
	act("rollback", "eve", "items lost", `{"live":{"number":2}}`, `{"live":{"number":1}}`, journal.Done)
	want(1, "live", "eve: items lost")
	act("release", "ann", "", ``, `{"state":"flipping","release":{"number":7,"by":"ann"}}`, journal.Note)
	act("flip", "", "release 7 is flipping", `{"live":{"number":1}}`, `{"live":{"number":2}}`, journal.Done)
	want(2, "live", "ann, by release 7")
	act("flip", "", "", `7`, `"x"`, journal.Done)
	want(2, "live", "ann, by release 7")
	if got := c.Of("lobby", 2, "live"); got != "" {
		t.Errorf("another service: %q", got)
	}
}
