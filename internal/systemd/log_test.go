package systemd

import (
	"errors"
	"log/slog"
	"maps"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

func TestALineOfTheJournalHasTheFieldsOfTheRecord(t *testing.T) {
	var line string
	var level journal.Priority
	var got map[string]string
	log := slog.New(&handler{send: func(l string, p journal.Priority, fields map[string]string) error {
		line, level, got = l, p, fields
		return nil
	}})
	log.With("service", "world").WithGroup("drain").Warn("stuck", "generation", 7, slog.Group("left", "idle-for", "2 h"), "err", errors.New("no end"))
	want := map[string]string{
		"SYSLOG_IDENTIFIER": "ebbtide", "EBBTIDE_SERVICE": "world", "EBBTIDE_DRAIN_GENERATION": "7",
		"EBBTIDE_DRAIN_LEFT_IDLE_FOR": "2 h", "EBBTIDE_DRAIN_ERR": "no end",
	}
	if !maps.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
	if want := "stuck service=world drain.generation=7 drain.left.idle-for=2 h drain.err=no end"; line != want {
		t.Errorf("line %q, want %q", line, want)
	}
	if level != journal.PriWarning {
		t.Errorf("priority %d, want that of a warning", level)
	}
}
