package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Cast is a recording in asciinema's format, version 2.
type Cast struct {
	Width, Height int
	Title         string
	Events        []Event
}

// longest is how many seconds of silence are played: a build says nothing for as long as it takes.
const longest = 1

// Event is what was written at a time, in seconds since the beginning.
type Event struct {
	At   float64
	Text string
}

// header is the first line of the file.
type header struct {
	Version int     `json:"version"`
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	Title   string  `json:"title"`
	Idle    float64 `json:"idle_time_limit"`
}

const output = "o" // the kind of an event that a program has written

// ParseCast reads a recording.
func ParseCast(data []byte) (Cast, error) {
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	var h header
	if err := json.Unmarshal([]byte(lines[0]), &h); err != nil {
		return Cast{}, fmt.Errorf("read the recording's header: %w", err)
	}
	if h.Version != 2 || h.Width < 1 || h.Height < 1 {
		return Cast{}, fmt.Errorf("read the recording's header: version %d, %d by %d: want version 2 and a size", h.Version, h.Width, h.Height)
	}
	c := Cast{Width: h.Width, Height: h.Height, Title: h.Title}
	for n, line := range lines[1:] {
		var kind string
		var e Event
		if err := json.Unmarshal([]byte(line), &[]any{&e.At, &kind, &e.Text}); err != nil {
			return Cast{}, fmt.Errorf("read the recording's line %d: %w", n+2, err)
		}
		if kind != output {
			return Cast{}, fmt.Errorf("read the recording's line %d: an event %q: only %q is known", n+2, kind, output)
		}
		c.Events = append(c.Events, e)
	}
	return c, nil
}

// Bytes is the recording as a file.
func (c Cast) Bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(header{2, c.Width, c.Height, c.Title, longest}); err != nil {
		return nil, fmt.Errorf("write the recording: %w", err)
	}
	for _, e := range c.Events {
		if err := enc.Encode([]any{e.At, output, e.Text}); err != nil {
			return nil, fmt.Errorf("write the recording: %w", err)
		}
	}
	return b.Bytes(), nil
}
