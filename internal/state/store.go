package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ebbtide/ebbtide/internal/disk"
)

const (
	fileName = "state.json"
	tempName = "state.json.new"

	// format changes when an older ebbtide would misread the file.
	format = 1
)

// document is the file: a State and the format it is in.
type document struct {
	Format int `json:"format"`
	State
}

// Store is one process's hold on a state directory. It is not safe for
// concurrent use: the reconciler alone has it.
type Store struct {
	dir  *os.File
	lock *os.File
}

// Open makes dir where it is missing and locks it until Close or the end of
// the process. The error is an [ErrLocked] while another process has it.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open state directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Store{dir: d, lock: lock}, nil
}

// Close gives the directory up.
func (s *Store) Close() error { return errors.Join(s.lock.Close(), s.dir.Close()) }

// Load gives what was saved last, the zero State when nothing ever was. A
// file that is damaged or of a newer ebbtide is an error that says what to do;
// the file is left as it is.
func (s *Store) Load() (State, error) {
	data, err := os.ReadFile(s.path(fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	st, err := decode(data)
	if err != nil {
		return State{}, fmt.Errorf("state file %s: %w", s.path(fileName), err)
	}
	return st, nil
}

// Save replaces what was saved before and returns when it is on disk. After
// an error, and after a crash at any point, the file is whole: the old state
// or the new one.
func (s *Store) Save(st State) error {
	if err := s.Prepare(st); err != nil {
		return err
	}
	return s.Commit()
}

// Prepare writes a state beside what was saved before, so that what is left to be done needs no room on the disk any more.
func (s *Store) Prepare(st State) error {
	if err := st.validate(); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	data, err := encode(st)
	if err == nil {
		err = disk.Fault(s.writeTemp(data))
	}
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// Commit puts what was prepared in the place of what was saved before.
func (s *Store) Commit() error {
	err := os.Rename(s.path(tempName), s.path(fileName))
	if err == nil {
		err = s.dir.Sync()
	}
	if err != nil {
		return fmt.Errorf("save state: %w", disk.Fault(err))
	}
	return nil
}

// Discard takes away what was prepared.
func (s *Store) Discard() error {
	if err := os.Remove(s.path(tempName)); err != nil {
		return fmt.Errorf("save state: %w", disk.Fault(err))
	}
	return nil
}

// writeTemp writes the new file beside the old one. One that a crash left
// behind is written over; of one that has no room nothing stays.
func (s *Store) writeTemp(data []byte) error {
	f, err := os.OpenFile(s.path(tempName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir.Name(), name) }

func encode(st State) ([]byte, error) {
	data, err := json.MarshalIndent(document{format, st}, "", "  ")
	return append(data, '\n'), err
}

func decode(data []byte) (State, error) {
	var head struct{ Format int }
	if err := json.Unmarshal(data, &head); err != nil {
		return State{}, damaged(err)
	}
	if head.Format > format {
		return State{}, fmt.Errorf("format %d is of a newer ebbtide, this one knows %d: run the newer one", head.Format, format)
	}
	var doc document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return State{}, damaged(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return State{}, damaged(errors.New("something follows its end"))
	}
	if doc.Format != format {
		return State{}, damaged(fmt.Errorf("format %d is unknown", doc.Format))
	}
	if err := doc.validate(); err != nil {
		return State{}, damaged(err)
	}
	return doc.State, nil
}

// damaged says what an operator can do: nothing here knows better.
func damaged(err error) error {
	return fmt.Errorf("damaged: %w: put a sound copy back, or move it away to start with blue live in every service", err)
}
