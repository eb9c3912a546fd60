package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line: a damaged file is not read into memory whole.
const maxLine = 1 << 20

// line is what is written: the event's own bytes, and SHA-256 over the hash of the line before it (zeros before the first)
// and those bytes.
type line struct {
	Event json.RawMessage `json:"event"`
	Hash  string          `json:"hash"` // hexadecimal
}

// encode is the one way in which a line may be written.
func (l line) encode() ([]byte, error) {
	text, err := json.Marshal(l)
	return append(text, '\n'), err
}

type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

func (h hash) next(event []byte) hash {
	return sha256.Sum256(append(h[:], event...))
}

// Head is where a chain ends. Whoever keeps its hash elsewhere can tell later whether lines were taken off the end.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
	Size int64  `json:"size"` // of the sound lines, in bytes
}

// ErrTorn is of a file whose last line is not whole, as a crash leaves it.
var ErrTorn = errors.New("the last line is torn")

// DamagedError says which line is not what was written.
type DamagedError struct {
	Line   uint64 // 1 is the first
	Reason string
}

func (e *DamagedError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// chain is the end of the lines read or written so far.
type chain struct {
	seq  uint64
	hash hash
	size int64
}

func (c chain) head() Head { return Head{c.seq, c.hash.String(), c.size} }

// Verify reads a journal from its beginning, checks each line against the one before it and hands each event on; yield may
// be nil. It ends with where the sound lines end, and with [ErrTorn], a [DamagedError], or what yield or the reader said.
func Verify(r io.Reader, yield func(Event) error) (Head, error) {
	c, err := chain{}.verify(r, yield, nil)
	return c.head(), err
}

// verify reads on behind c. Passed hears of each line's end; it may be nil.
func (c chain) verify(r io.Reader, yield func(Event) error, passed func(chain)) (chain, error) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		text, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return c, nil
		case errors.Is(err, io.EOF):
			return c, ErrTorn
		case errors.Is(err, bufio.ErrBufferFull):
			return c, &DamagedError{c.seq + 1, fmt.Sprintf("it is longer than %d bytes", maxLine)}
		case err != nil:
			return c, err
		}
		event, next, err := c.link(text)
		if err != nil {
			return c, err
		}
		if yield != nil {
			if err := yield(event); err != nil {
				return c, err
			}
		}
		c = next
		if passed != nil {
			passed(c)
		}
	}
}

// link checks one line, and gives the chain with it.
func (c chain) link(text []byte) (Event, chain, error) {
	bad := func(format string, args ...any) (Event, chain, error) {
		return Event{}, c, &DamagedError{c.seq + 1, fmt.Sprintf(format, args...)}
	}
	var l line
	if err := strict(text, &l); err != nil {
		return bad("it is no line of a journal: %v", err)
	}
	next := chain{c.seq + 1, c.hash.next(l.Event), c.size + int64(len(text))}
	if again, err := l.encode(); err != nil || l.Hash != next.hash.String() || !bytes.Equal(again, text) {
		return bad("it does not follow from the line before it, or was changed")
	}
	var e Event
	if err := strict(l.Event, &e); err != nil {
		return bad("it is no event: %v", err)
	}
	if e.Seq != next.seq {
		return bad("its number is %d", e.Seq)
	}
	return e, next, nil
}

func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// append is the line of an event, and the chain with it.
func (c chain) append(e Event) ([]byte, chain, error) {
	e.Seq = c.seq + 1
	event, err := json.Marshal(e)
	if err != nil {
		return nil, c, err
	}
	next := chain{seq: e.Seq, hash: c.hash.next(event)}
	text, err := line{event, next.hash.String()}.encode()
	if err != nil {
		return nil, c, err
	}
	if len(text) > maxLine {
		return nil, c, fmt.Errorf("an event of %d bytes is more than a line takes, %d", len(text), maxLine)
	}
	next.size = c.size + int64(len(text))
	return text, next, nil
}
