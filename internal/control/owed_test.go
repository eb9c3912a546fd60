package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/disk"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// The end of an act that found no room is written as soon as there is some, with the time at which it came, and before
// whatever happens next. What fits into no line holds nothing up.
func TestWhatTheJournalCouldNotHaveComesIntoItLater(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	c := hooked(t, dir, 0, nil)
	a, err := c.begin(t.Context(), actFlip, "world", "", nil, nil)
	must(t, err)
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	f.Close()
	full := func() bool {
		_, err := c.journal(journal.Event{Act: "x"}, nil, nil)
		if err != nil && !disk.Is(err) {
			t.Fatal(err)
		}
		return err != nil
	}
	for !full() {
	}
	a.end(nil, nil)
	ended := time.Now()
	c.owed.keep(journal.Event{Act: strings.Repeat("x", 2<<20)})
	if !full() {
		t.Error("what happens next went past what is owed")
	}
	_, last := c.opt.Journal.More()
	must(t, os.Remove(filler))
	c.payJournal()
	if full() {
		t.Error("there is room, and nothing is written")
	}
	var events []journal.Event
	_, err = c.opt.Journal.Read(last, func(e journal.Event) error { events = append(events, e); return nil })
	must(t, err)
	if len(events) != 2 || events[0].Of != a.event.Seq || events[0].Stage != journal.Done || events[0].Time.After(ended) || events[1].Act != "x" {
		t.Errorf("the journal has %+v", events)
	}
	if left := c.opt.Journal.Unfinished(); len(left) != 0 {
		t.Errorf("unfinished: %+v", left)
	}
}

func TestWhatIsOwedIsBounded(t *testing.T) {
	var o owed
	for range mostOwed {
		if !o.keep(journal.Event{}) {
			t.Fatal("no room")
		}
	}
	if o.keep(journal.Event{}) || len(o.events) != mostOwed {
		t.Errorf("%d are kept", len(o.events))
	}
}
