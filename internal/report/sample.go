package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/ebbtide/ebbtide/internal/disk"
)

// Sample is what was counted of a service at a moment.
type Sample struct {
	At          time.Time `json:"at"`
	Service     string    `json:"service"`
	Generations []Count   `json:"generations"`
}

// Count is of one generation. EmptyAt is when it was expected to be empty, nil when nothing was.
type Count struct {
	Number   uint32     `json:"number"`
	Sessions uint64     `json:"sessions"`
	New      uint64     `json:"new"`
	Moved    uint64     `json:"moved,omitempty"`
	EmptyAt  *time.Time `json:"empty_at,omitempty"`
}

// MaxSamples is how large a file of samples grows, in bytes. Then it becomes the older one, and a new one begins: there are
// two at most.
const MaxSamples = 8 << 20

// older is the name of the file before.
func older(path string) string { return path + ".1" }

// AppendSamples adds a line for each. A crash may tear the last one: who reads leaves it out.
func AppendSamples(path string, samples []Sample) error {
	if len(samples) == 0 {
		return nil
	}
	var text bytes.Buffer
	text.WriteByte('\n') // ends a torn line
	enc := json.NewEncoder(&text)
	for _, s := range samples {
		if err := enc.Encode(s); err != nil {
			return fmt.Errorf("write the samples %s: %w", path, err)
		}
	}
	if info, err := os.Stat(path); err == nil && info.Size()+int64(text.Len()) > MaxSamples {
		if err := os.Rename(path, older(path)); err != nil {
			return fmt.Errorf("begin new samples: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("write the samples: %w", disk.Fault(err))
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the samples: %w", disk.Fault(err))
	}
	return nil
}

// ReadSamples gives those of a service from a time on, the oldest first. What is torn or damaged is left out: the samples
// draw a line, and prove nothing.
func ReadSamples(path, service string, from time.Time) (all []Sample, err error) {
	for _, name := range []string{older(path), path} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the samples: %w", err)
		}
		in := bufio.NewScanner(f)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			var s Sample
			if json.Unmarshal(in.Bytes(), &s) == nil && s.Service == service && !s.At.Before(from) {
				all = append(all, s)
			}
		}
		err = in.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = nil // no line of ours: the rest is left out
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read the samples %s: %w", name, err)
		}
	}
	return all, nil
}
