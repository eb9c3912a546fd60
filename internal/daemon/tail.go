package daemon

import (
	"bytes"
	"sync"
)

// tailBytes is how much of the log is kept for support bundles.
const tailBytes = 256 << 10

// tail keeps the last lines that were written to it. A write is whole lines.
type tail struct {
	mu    sync.Mutex
	lines []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, p...)
	if len(t.lines) > 2*tailBytes { // so that it is moved once in so many bytes
		rest := t.lines[len(t.lines)-tailBytes:]
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		t.lines = append(make([]byte, 0, 2*tailBytes), rest...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.lines)
}
