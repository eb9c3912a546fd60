package datapath

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// moves are counters that moved, by name: a reason, or generation.counter. What is not there did not move.
type moves map[string]uint64

// and adds moves.
func (m moves) and(more moves) moves {
	out := maps.Clone(m)
	for k, v := range more {
		out[k] += v
	}
	return out
}

func (m moves) String() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s+%d", k, m[k]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// since takes away what was there before.
func (m moves) since(before moves) moves {
	out := moves{}
	for k, v := range m {
		if v != before[k] {
			out[k] = v - before[k]
		}
	}
	return out
}

// sent are the moves of packets forwarded to a generation.
func sent(generation string, frames ...[]byte) moves {
	m := moves{generation + ".packets": uint64(len(frames))}
	for _, f := range frames {
		m[generation+".bytes"] += uint64(wireLen(f))
	}
	return m
}

// wireLen is the length of a frame without padding: what its headers say.
func wireLen(b []byte) int {
	at := 12
	for t := binary.BigEndian.Uint16(b[at:]); t == 0x8100 || t == 0x88a8; t = binary.BigEndian.Uint16(b[at:]) {
		at += 4
	}
	at += 2
	if b[at]>>4 == 6 {
		return at + 40 + int(binary.BigEndian.Uint16(b[at+4:]))
	}
	return at + int(binary.BigEndian.Uint16(b[at+2:]))
}

// began are the moves of a packet that began a new session.
func began(generation string, frame []byte) moves {
	return sent(generation, frame).and(moves{generation + ".new": 1})
}

// counters reads every counter there is.
func (p *plane) counters(tb testing.TB) moves {
	tb.Helper()
	reasons, err := p.Reasons()
	if err != nil {
		tb.Fatal(err)
	}
	m := moves(reasons)
	counts := p.counts(tb)
	for index := range uint16(8) {
		name, known := generations[index]
		if !known {
			name = fmt.Sprint("generation ", index)
		}
		c, sent := counts.Generation(index)
		m[name+".packets"], m[name+".bytes"], m[name+".new"] = sent.Packets, sent.Bytes, c.New
		m[name+".rejoined"], m[name+".moved"] = c.Rejoined, c.Moved
		m[name+".orphans"], m[name+".reopened"], m[name+".unpinned"] = c.Orphans, c.Reopened, c.Unpinned
		m[name+".moved"] = c.Moved
	}
	return m
}
