package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/disk"
)

// FileName is the journal's, in the state directory.
const FileName = "journal.jsonl"

// Journal is the one writer's hold on the file. The state directory's lock keeps others away.
type Journal struct {
	path string
	now  func() time.Time

	mu    sync.Mutex // guards what follows
	file  *os.File   // nil: the last write failed, and the file is to be looked at again
	end   chain
	marks []chain          // every so often a line's end, so that who reads the newest events needn't read all
	open  map[uint64]Event // begun and not ended, by number
	fresh chan struct{}    // closed and replaced with each event
	note  *Event           // about the file itself, that has found no room yet: it comes before the next event
}

// Open opens the journal of a state directory, and makes it where there is none. A torn last line, as a crash leaves it, is
// cut off, and a note of that is the next event. A file that is damaged is set aside under a name of its own, and a note in
// a new one says so: nobody can act without a journal, and the players' flows are in the kernel.
func Open(dir string, now func() time.Time) (*Journal, error) {
	j := &Journal{path: filepath.Join(dir, FileName), now: now, fresh: make(chan struct{})}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j, j.load()
}

// Close gives the file up.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// load reads the file from its beginning and mends its end.
func (j *Journal) load() error {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open the journal: %w", disk.Fault(err))
	}
	open := map[uint64]Event{}
	j.marks = nil
	end, err := chain{}.verify(f, func(e Event) error { follow(open, e); return nil }, j.mark)
	var damaged *DamagedError
	switch {
	case errors.As(err, &damaged):
		return errors.Join(j.setAside(damaged), f.Close())
	case err != nil && !errors.Is(err, ErrTorn):
		return errors.Join(fmt.Errorf("read the journal: %w", err), f.Close())
	}
	j.file, j.end, j.open = f, end, open
	if errors.Is(err, ErrTorn) {
		return j.cut()
	}
	return syncDir(j.path)
}

// markEvery is how many lines lie between two marks.
const markEvery = 256

func (j *Journal) mark(c chain) {
	if c.seq%markEvery == 0 {
		j.marks = append(j.marks, c)
	}
}

// before is the newest mark that is not behind an event's end.
func (j *Journal) before(seq uint64) chain {
	if n := min(seq/markEvery, uint64(len(j.marks))); n > 0 {
		return j.marks[n-1]
	}
	return chain{}
}

// follow keeps the list of what is begun and not ended.
func follow(open map[uint64]Event, e Event) {
	switch e.Stage {
	case Begun:
		open[e.Seq] = e
	case Done, Failed:
		delete(open, e.Of)
	}
}

// cut takes a torn line off.
func (j *Journal) cut() error {
	torn, err := j.file.Seek(0, io.SeekEnd)
	if err == nil {
		err = j.file.Truncate(j.end.size)
	}
	if err != nil {
		return fmt.Errorf("cut the journal's torn last line: %w", err)
	}
	return j.noteItself(Event{Actor: Actor{Daemon: true}, Act: "journal", Stage: Note,
		Reason: fmt.Sprintf("a torn last line of %d bytes was cut off: a crash had left it, and what it described had not begun", torn-j.end.size)})
}

// setAside begins a new journal.
func (j *Journal) setAside(damaged *DamagedError) error {
	aside := fmt.Sprintf("%s.damaged-%s", j.path, j.now().UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(j.path, aside); err != nil {
		return fmt.Errorf("set the damaged journal aside: %w", err)
	}
	if err := j.load(); err != nil {
		return err
	}
	return j.noteItself(Event{Actor: Actor{Daemon: true}, Act: "journal", Stage: Note,
		Reason: fmt.Sprintf("the journal before this one was damaged, %s; it is kept as %s", damaged, filepath.Base(aside))})
}

// noteItself appends a note about the file. A full disk is no reason not to start: the note comes before the next event.
func (j *Journal) noteItself(e Event) error {
	e.Time = j.now().UTC()
	j.note = &e
	if err := j.writeNote(); err != nil && !disk.Is(err) {
		return err
	}
	return nil
}

func (j *Journal) writeNote() error {
	if j.note == nil {
		return nil
	}
	e := *j.note
	j.note = nil
	_, err := j.append(e)
	if err != nil {
		j.note = &e
	}
	return err
}

// Append writes an event and returns it, numbered, when it is on disk. After an error it is not in the journal.
func (j *Journal) Append(e Event) (Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		if err := j.load(); err != nil {
			return Event{}, err
		}
	}
	return j.append(e)
}

func (j *Journal) append(e Event) (Event, error) {
	if err := j.writeNote(); err != nil {
		return Event{}, err
	}
	if e.Time.IsZero() {
		e.Time = j.now().UTC()
	}
	text, end, err := j.end.append(e)
	if err != nil {
		return Event{}, fmt.Errorf("write the journal: %w", err)
	}
	if err := j.write(text); err != nil {
		return Event{}, fmt.Errorf("write the journal: %w", disk.Fault(err))
	}
	j.end = end
	j.mark(end)
	e.Seq = end.seq
	follow(j.open, e)
	close(j.fresh)
	j.fresh = make(chan struct{})
	return e, nil
}

// write leaves the file as it was when it fails. What a failed fsync has left nobody knows: the file is read again. What has
// found no room is known, and a full disk is no reason to read a long journal with each try.
func (j *Journal) write(text []byte) error {
	_, err := j.file.WriteAt(text, j.end.size)
	if err == nil {
		err = j.file.Sync()
	} else if j.file.Truncate(j.end.size) == nil { // whatever it says, a part may have been written
		return err
	}
	if err == nil {
		return nil
	}
	err = errors.Join(err, j.file.Truncate(j.end.size), j.file.Close())
	j.file = nil
	return err
}

// Room says whether there is room for so many bytes more, and leaves the file as it was.
func (j *Journal) Room(bytes int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		if err := j.load(); err != nil {
			return err
		}
	}
	_, err := j.file.WriteAt(make([]byte, bytes), j.end.size)
	if err = errors.Join(err, j.file.Truncate(j.end.size)); err != nil {
		return fmt.Errorf("write the journal: %w", disk.Fault(err))
	}
	return nil
}

// Unfinished are the acts that were begun and not ended, in their order.
func (j *Journal) Unfinished() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Event, 0, len(j.open))
	for _, e := range j.open {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Event) int { return int(a.Seq) - int(b.Seq) })
	return out
}

// More gives the number of the last event, and a channel that is closed when there is another.
func (j *Journal) More() (more <-chan struct{}, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fresh, j.end.seq
}

// Read hands on the events after a number, in their order, and gives a channel that is closed when there are more.
func (j *Journal) Read(after uint64, yield func(Event) error) (more <-chan struct{}, err error) {
	j.mu.Lock()
	size, more, from := j.end.size, j.fresh, j.before(after)
	j.mu.Unlock()
	f, err := os.Open(j.path)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	_, err = from.verify(io.NewSectionReader(f, from.size, size-from.size), func(e Event) error {
		if e.Seq <= after {
			return nil
		}
		return yield(e)
	}, nil)
	return more, err
}

// VerifyFile checks a journal's file, which a daemon may be writing.
func VerifyFile(path string) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, fmt.Errorf("open the journal: %w", err)
	}
	defer f.Close()
	head, err := Verify(f, nil)
	if err != nil {
		err = fmt.Errorf("journal %s: %w", path, err)
	}
	return head, err
}

func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open the journal's directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the journal's directory: %w", err)
	}
	return nil
}
