package game

import (
	"fmt"
	"slices"
	"time"
)

// maxReasons bounds what one session says about itself.
const maxReasons = 8

// judge decides whether the answers of one session are what it asked for.
type judge struct {
	session  uint64
	sent     uint64 // number of the last request
	answered uint64 // number of the last one answered
	skew     uint64 // requests that the server has not counted, as last seen
	heard    time.Time
	silent   bool // said already
	backend  string
	colour   string
	faults   uint64
	broken   []string // the first of the faults
}

// next is the next request.
func (j *judge) next(k kind) frame {
	j.sent++
	return frame{kind: k, session: j.session, seq: j.sent}
}

// breaks notes a reason why the session is broken.
func (j *judge) breaks(format string, args ...any) {
	j.faults++
	if len(j.broken) < maxReasons {
		j.broken = append(j.broken, fmt.Sprintf(format, args...))
	}
}

// hear judges an answer.
func (j *judge) hear(f frame, now time.Time) {
	j.heard, j.silent = now, false
	if f.session != j.session {
		j.breaks("foreign answer: of another session, from %s", f.backend)
		return
	}
	if j.backend == "" {
		j.backend, j.colour = f.backend, f.colour
	}
	if f.backend != j.backend {
		j.breaks("foreign answer: %d from %s, after %s", f.seq, f.backend, j.backend)
	}
	switch {
	case f.seq > j.sent:
		j.breaks("answer %d before it was asked for", f.seq)
	case f.seq <= j.answered:
		j.breaks("repeated answer: %d after %d", f.seq, j.answered)
	case f.seq != j.answered+1:
		j.breaks("gap: answer %d after %d", f.seq, j.answered)
	}
	if f.seq-f.count != j.skew {
		j.skew = f.seq - f.count
		j.breaks("%s counts %d at request %d", f.backend, f.count, f.seq)
	}
	j.answered = max(j.answered, f.seq)
}

// wait judges silence: requests unanswered and nothing heard for too long.
func (j *judge) wait(now time.Time, patience time.Duration) {
	if j.silent || j.answered >= j.sent || now.Sub(j.heard) < patience {
		return
	}
	j.silent = true
	j.breaks("gap: no answer to %d of %d requests in %v", j.sent-j.answered, j.sent, patience)
}

// reasons is a copy of why the session is broken.
func (j *judge) reasons() []string { return slices.Clone(j.broken) }
