package gate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Runner watches gates, each for its window, and has the newest reading of each. A failure is final; who wants to ask
// again begins a new watch.
type Runner struct {
	Gates  []config.Gate
	Facts  func(context.Context) (Facts, error) // as they are now
	Client *http.Client
	Now    func() time.Time
	Began  time.Time     // of the watch: one that goes on after a restart began before it
	Told   func(Reading) // hears of each whose verdict is another one; nil: nobody listens

	mu       sync.Mutex
	readings []Reading
}

// The pace of readings, and how long one may take.
const (
	slowest = 5 * time.Second
	fastest = time.Second
	patient = 10 * time.Second
)

// Unread is the reading of a gate that nobody has read.
func Unread(g config.Gate, now time.Time) Reading {
	return Reading{Gate: g.Name, Verdict: Pending, Threshold: thresholds(g), OnFail: g.OnFail, Detail: "it has not been read yet", At: now}
}

// Prepare gives each gate its unread reading. Run does, too: whoever asks for readings before it runs prepares it.
func (r *Runner) Prepare() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readings = make([]Reading, len(r.Gates))
	for i, g := range r.Gates {
		r.readings[i] = Unread(g, r.Now())
	}
}

// Run watches until the context ends, or every gate has its final reading.
func (r *Runner) Run(ctx context.Context) {
	if r.Readings() == nil {
		r.Prepare()
	}
	start := r.Now()
	var all sync.WaitGroup
	for i, g := range r.Gates {
		w := &watch{gate: g, start: start, lead: max(0, start.Sub(r.Began))}
		w.look = w.due(start)
		all.Go(func() { r.watch(ctx, i, w) })
	}
	all.Wait()
}

// Readings are the newest, in the order of the gates.
func (r *Runner) Readings() []Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.readings)
}

// watch is that of one gate. Its time is that of a clock which nobody sets, from its start on.
type watch struct {
	gate  config.Gate
	start time.Time
	lead  time.Duration // of the window, that was over at the start
	look  int           // the next one
	last  Reading       // of the look before
}

func (w *watch) spent(now time.Time) time.Duration { return w.lead + now.Sub(w.start) }

// due is how many looks' times have come.
func (w *watch) due(now time.Time) int {
	for i, part := range looks {
		if w.spent(now) < time.Duration(part*float64(w.gate.Window)) {
			return i
		}
	}
	return len(looks)
}

// takes the look whose time has come; several that were missed are one.
func (w *watch) takes(now time.Time) Look {
	due := w.due(now)
	if due == len(looks) {
		return LastLook
	}
	if due <= w.look {
		return NoLook
	}
	w.look = due
	return ALook
}

// pace is how often a gate is read: often enough not to be late for its looks.
func (w *watch) pace() time.Duration { return min(slowest, max(fastest, w.gate.Window/60)) }

func (r *Runner) watch(ctx context.Context, i int, w *watch) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		reading := r.read(ctx, w)
		if ctx.Err() != nil {
			return // what was asked last has no answer
		}
		r.put(i, reading)
		if reading.Final {
			return
		}
		timer.Reset(w.pace())
	}
}

func (r *Runner) put(i int, reading Reading) {
	r.mu.Lock()
	was := r.readings[i]
	r.readings[i] = reading
	r.mu.Unlock()
	if r.Told != nil && (was.Verdict != reading.Verdict || was.Final != reading.Final) {
		r.Told(reading)
	}
}

// read asks a gate, and says what its answer means at this point of the window.
func (r *Runner) read(ctx context.Context, w *watch) Reading {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	now := r.Now()
	f, err := r.Facts(ctx)
	if err != nil && (w.gate.Kernel != "" || w.gate.Health > 0) {
		return Reading{Gate: w.gate.Name, Verdict: Unknown, OnFail: w.gate.OnFail, Detail: fmt.Sprintf("read the kernel's counts: %s", err), At: now}
	}
	look := w.takes(now)
	reading := Evaluate(ctx, r.Client, w.gate, f, look, now)
	if w.gate.Kernel != "" {
		return w.judged(reading, look)
	}
	return w.held(reading, now)
}

// judged keeps the verdict of the look before until the next one.
func (w *watch) judged(r Reading, look Look) Reading {
	if look == NoLook {
		if w.last.Verdict != "" {
			r.Verdict = w.last.Verdict
		}
		return r
	}
	r.Final = r.Verdict == Fail || look == LastLook
	w.last = r
	return r
}

// held makes a pass of what has passed for the whole window; a no is one at once. Whoever has not answered is asked on.
func (w *watch) held(r Reading, now time.Time) Reading {
	rest := w.gate.Window - w.spent(now)
	switch {
	case r.Verdict == Fail:
		r.Final = true
	case r.Verdict == Pass && rest > 0:
		r.Verdict, r.Detail = Pending, fmt.Sprintf("%s so far: it has to stay so for another %s", r.Detail, rest.Round(time.Second))
	case r.Verdict == Pass:
		r.Final = true
	}
	return r
}
