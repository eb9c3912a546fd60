package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC) }

func mustOpen(tb testing.TB, dir string) *Journal {
	tb.Helper()
	j, err := Open(dir, noon)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { j.Close() })
	return j
}

func mustAppend(tb testing.TB, j *Journal, e Event) Event {
	tb.Helper()
	e, err := j.Append(e)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func mustRead(tb testing.TB, j *Journal, after uint64) (all []Event) {
	tb.Helper()
	if _, err := j.Read(after, func(e Event) error { all = append(all, e); return nil }); err != nil {
		tb.Fatal(err)
	}
	return all
}

func mustBytes(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func flip(service string) Event {
	return Event{
		Actor: Actor{User: "ops", UID: 1000, PID: 7}, Act: "flip", Stage: Begun, Service: service, Reason: "v2.0",
		Before: json.RawMessage(`{"live":1}`), After: json.RawMessage(`{"live":2}`),
	}
}

// written is a journal of a few acts, the last of them unfinished.
func written(tb testing.TB, dir string) []Event {
	tb.Helper()
	j := mustOpen(tb, dir)
	a := mustAppend(tb, j, flip("world"))
	mustAppend(tb, j, Event{Act: "flip", Stage: Done, Of: a.Seq, Service: "world"})
	mustAppend(tb, j, flip("raid"))
	all := mustRead(tb, j, 0)
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestWhatWasWrittenIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	all := written(t, dir)
	if len(all) != 3 || all[0].Seq != 1 || all[2].Seq != 3 || !all[0].Time.Equal(noon()) {
		t.Fatalf("read %+v", all)
	}
	want := flip("world")
	want.Seq, want.Time = 1, noon()
	if !reflect.DeepEqual(all[0], want) {
		t.Errorf("read %+v, want %+v", all[0], want)
	}
	j := mustOpen(t, dir)
	if got := mustRead(t, j, 0); !reflect.DeepEqual(got, all) {
		t.Errorf("after a restart %+v, want %+v", got, all)
	}
	if got := mustRead(t, j, 2); len(got) != 1 || got[0].Seq != 3 {
		t.Errorf("after the second: %+v", got)
	}
	if e := mustAppend(t, j, flip("zones")); e.Seq != 4 {
		t.Errorf("the next one is %d", e.Seq)
	}
	if head, err := VerifyFile(filepath.Join(dir, FileName)); err != nil || head.Seq != 4 {
		t.Errorf("verify: %+v, %v", head, err)
	}
}

func TestWhatACrashCutShortIsKnown(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	j := mustOpen(t, dir)
	left := j.Unfinished()
	if len(left) != 1 || left[0].Seq != 3 || left[0].Service != "raid" {
		t.Fatalf("unfinished: %+v", left)
	}
	mustAppend(t, j, Event{Act: "flip", Stage: Failed, Of: 3, Service: "raid"})
	if left := j.Unfinished(); len(left) != 0 {
		t.Errorf("still unfinished: %+v", left)
	}
}

func TestAJournalCutAnywhereKeepsItsWholeLinesAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	all := written(t, dir)
	text := mustBytes(t, filepath.Join(dir, FileName))
	for size := 0; size < len(text); size += 7 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), text[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		whole := bytes.Count(text[:size], []byte("\n"))
		torn := size > 0 && text[size-1] != '\n'
		got := mustRead(t, mustOpen(t, dir), 0)
		if torn != (len(got) == whole+1 && strings.Contains(got[whole].Reason, "torn")) || !torn && len(got) != whole {
			t.Fatalf("cut at %d, with %d whole lines: %+v", size, whole, got)
		}
		if whole > 0 && !reflect.DeepEqual(got[:whole], all[:whole]) {
			t.Fatalf("cut at %d: %+v", size, got)
		}
		if _, err := VerifyFile(filepath.Join(dir, FileName)); err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
	}
}

func TestAnyChangedByteIsFound(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	text := mustBytes(t, filepath.Join(dir, FileName))
	for at := range text {
		for _, bit := range []byte{1, 0x20} { // the second makes another case of a letter
			changed := bytes.Clone(text)
			changed[at] ^= bit
			if _, err := Verify(bytes.NewReader(changed), nil); err == nil {
				t.Fatalf("byte %d changed from %q to %q is not found", at, text[at], changed[at])
			}
		}
	}
}

func TestALineTakenOutOrTwiceThereIsFound(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	lines := bytes.SplitAfter(mustBytes(t, filepath.Join(dir, FileName)), []byte("\n"))
	for name, text := range map[string][]byte{
		"the first taken out":  bytes.Join([][]byte{lines[1], lines[2]}, nil),
		"the second taken out": bytes.Join([][]byte{lines[0], lines[2]}, nil),
		"the second twice":     bytes.Join([][]byte{lines[0], lines[1], lines[1], lines[2]}, nil),
		"in another order":     bytes.Join([][]byte{lines[1], lines[0], lines[2]}, nil),
	} {
		var damaged *DamagedError
		if _, err := Verify(bytes.NewReader(text), nil); !errors.As(err, &damaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADamagedJournalIsSetAsideAndTheNewOneSaysSo(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	path := filepath.Join(dir, FileName)
	changed := bytes.Replace(mustBytes(t, path), []byte("v2.0"), []byte("v2.1"), 1)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	got := mustRead(t, mustOpen(t, dir), 0)
	if len(got) != 1 || !strings.Contains(got[0].Reason, "line 1: it does not follow from the line before it, or was changed") {
		t.Fatalf("read %+v", got)
	}
	aside, err := filepath.Glob(path + ".damaged-*")
	if err != nil || len(aside) != 1 || !bytes.Equal(mustBytes(t, aside[0]), changed) {
		t.Errorf("set aside: %q, %v", aside, err)
	}
}

func TestAFileThatCannotGrowRefusesAndStaysWhole(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, dir)
	mustAppend(t, j, flip("world"))
	path := filepath.Join(dir, FileName)
	size := int64(len(mustBytes(t, path)))
	limitFiles(t, uint64(size)+20, func() {
		if _, err := j.Append(flip("raid")); !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	})
	if got := mustRead(t, j, 0); len(got) != 1 {
		t.Errorf("after a failure: %+v", got)
	}
	if e := mustAppend(t, j, flip("zones")); e.Seq != 2 {
		t.Errorf("once there is room again: %+v", e)
	}
	if _, err := VerifyFile(path); err != nil {
		t.Error(err)
	}
}

// limitFiles stands for a full disk: no file of this process grows over a size.
func limitFiles(t *testing.T, size uint64, f func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &was)
	f()
}

func TestAReaderHearsOfMore(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	more, err := j.Read(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, flip("world"))
	select {
	case <-more:
	default:
		t.Fatal("nobody said that there is more")
	}
}

func TestALineThatIsTooLongIsNotWritten(t *testing.T) {
	j := mustOpen(t, t.TempDir())
	e := flip("world")
	e.Reason = strings.Repeat("x", maxLine)
	if _, err := j.Append(e); err == nil || !strings.Contains(err.Error(), "more than a line takes") {
		t.Errorf("got %v", err)
	}
	mustAppend(t, j, flip("world"))
}

// Whoever reads the newest events reads little: damage far before them is not seen, which a whole reading finds.
func TestTheNewestEventsAreReadWithoutAllBeforeThem(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, dir)
	const all = 2*markEvery + 40
	for range all {
		mustAppend(t, j, flip("world"))
	}
	for _, again := range []*Journal{j, mustOpen(t, dir)} {
		for _, after := range []uint64{0, 1, markEvery - 1, markEvery, markEvery + 1, 2 * markEvery, all - 1, all} {
			got := mustRead(t, again, after)
			if uint64(len(got)) != all-after || len(got) > 0 && got[0].Seq != after+1 {
				t.Errorf("after %d: %d events", after, len(got))
			}
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 5); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, j, all-1); len(got) != 1 {
		t.Errorf("behind the damage: %d events", len(got))
	}
	if _, err := j.Read(0, func(Event) error { return nil }); err == nil {
		t.Error("a whole reading found no damage")
	}
}

// A disk that fills up in the middle of a line, wherever that is, leaves the lines before it, and the next one follows them.
// A daemon may be killed and started meanwhile: also one that has no room to note that a line was torn notes it later.
func TestADiskThatIsFullTearsNoLine(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path, filler := filepath.Join(dir, FileName), filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, dir)
	written := uint64(0)
	for _, size := range []int{2000, 700, 300, 100, 30, 0} {
		for {
			_, err := j.Append(Event{Act: "x", Reason: strings.Repeat("x", size)})
			if err == nil {
				written++
				continue
			}
			if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "make room") {
				t.Fatal(err)
			}
			if head, err := VerifyFile(path); err != nil || head.Seq != written {
				t.Fatalf("after %d lines and one that had no room: %+v, %v", written, head, err)
			}
			break
		}
	}
	if err := j.Room(8 << 10); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("room for more than there is: %v", err)
	}
	j.Close()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("{")
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir)
	if events := mustRead(t, j, 0); uint64(len(events)) != written {
		t.Errorf("%d lines, want %d: the note of the torn one had room", len(events), written)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, flip("world"))
	events := mustRead(t, j, written)
	if len(events) != 2 || !strings.Contains(events[0].Reason, "torn last line of 1 bytes") || events[1].Act != "flip" {
		t.Errorf("then there are %+v", events)
	}
	if _, err := VerifyFile(path); err != nil {
		t.Error(err)
	}
}
