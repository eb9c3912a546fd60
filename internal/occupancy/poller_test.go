package occupancy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// heard counts what a poller heard of each target.
type heard struct {
	mu   sync.Mutex
	of   map[uint16]int
	errs map[uint16]error
}

func (h *heard) add(t Target, _ Reading, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of[t.ID]++
	h.errs[t.ID] = err
}

func (h *heard) take() map[uint16]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.of
	h.of = map[uint16]int{}
	return out
}

func target(id uint16) Target { return Target{ID: id, Every: 5 * time.Second, Timeout: time.Second} }

func TestWhoIsWantedIsAskedAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := heard{of: map[uint16]int{}, errs: map[uint16]error{}}
		p := Poller{Heard: h.add, Ask: func(context.Context, Target) (Reading, error) { return Reading{}, nil }}
		p.Want([]Target{target(1), target(2)}) // before it runs
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		time.Sleep(time.Minute)
		// Every 5 s, a tenth sooner or later: 10 to 14 times a minute.
		if n := h.take(); len(n) != 2 || n[1] < 10 || n[1] > 14 || n[2] < 10 || n[2] > 14 {
			t.Errorf("asked in a minute: %v", n)
		}
		p.Want([]Target{target(2), target(3)})
		h.take()
		time.Sleep(time.Minute)
		if n := h.take(); len(n) != 2 || n[2] < 10 || n[3] < 10 {
			t.Errorf("asked in a minute, when 3 came and 1 went: %v", n)
		}
		stop()
		running.Wait()
		h.take()
		p.Want([]Target{target(4)})
		time.Sleep(time.Minute)
		if n := h.take(); len(n) != 0 {
			t.Errorf("asked after the end: %v", n)
		}
	})
}

// One that never answers is given up in time, and holds up nobody.
func TestWhoIsSilentHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := heard{of: map[uint16]int{}, errs: map[uint16]error{}}
		var now, most atomic.Int64
		p := Poller{Heard: h.add, Ask: func(ctx context.Context, t Target) (Reading, error) {
			for n := now.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			defer now.Add(-1)
			if t.ID > 1 {
				<-ctx.Done()
				return Reading{}, ctx.Err()
			}
			return Reading{}, nil
		}}
		var all []Target
		for id := range uint16(200) {
			all = append(all, target(id+1))
		}
		p.Want(all)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.Run(ctx)
		time.Sleep(time.Minute)
		n := h.take()
		if n[1] < 8 || !errors.Is(h.errs[2], context.DeadlineExceeded) {
			t.Errorf("one that answers was asked %d times in a minute; one that does not: %v", n[1], h.errs[2])
		}
		if m := most.Load(); m < 2 || m > atOnce {
			t.Errorf("%d were asked at once, want at most %d", m, atOnce)
		}
	})
}
