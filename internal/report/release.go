package report

import (
	"encoding/json"

	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
)

// releaseOf is the record that a transition left.
func releaseOf(e journal.Event) (release.Record, bool) {
	if e.Act != "release" || e.Stage != journal.Note {
		return release.Record{}, false
	}
	var is struct{ Release release.Record }
	if err := json.Unmarshal(e.After, &is); err != nil || is.Release.Number == 0 {
		return release.Record{}, false
	}
	return is.Release, true
}
