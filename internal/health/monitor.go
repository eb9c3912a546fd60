package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// atOnce bounds the checks that run at the same time.
const atOnce = 64

// promptly is the most that a target waits for its first check, and for the next one while it has passed each and has no verdict
// yet: a candidate that was just staged is not kept from its release by the pace of its checks. One that fails has its pace, since
// a server takes a while to start.
const promptly = time.Second

// Target is a backend that is asked, at each of its addresses: it is well when all of them answer.
type Target struct {
	ID     uint16
	Addrs  []netip.Addr
	Health *config.Health
}

// Monitor asks targets, and tells of those that become well or sick: of each with its first verdict, too. Its zero value but
// for Check and Changed is ready.
type Monitor struct {
	Check   func(context.Context, config.Health, netip.Addr) error
	Changed func(t Target, sick error) // sick is nil of one that is well; called by the target's own goroutine

	mu      sync.Mutex
	ctx     context.Context // nil until it runs
	running map[uint16]*asking
	slots   chan struct{}
	works   sync.WaitGroup
}

type asking struct {
	target Target
	stop   context.CancelFunc
	soon   chan struct{} // holds one: its next check is due at once
	now    bool          // one is under way
	last   outcome
}

// outcome is what a check found, and when it began; zero: there was none yet.
type outcome struct {
	began time.Time
	sick  error
}

// Last is when the newest check of a target began that has ended, zero for none, and what it found.
func (m *Monitor) Last(id uint16) (began time.Time, sick error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.running[id]
	if a == nil {
		return time.Time{}, nil
	}
	return a.last.began, a.last.sick
}

// Soon asks a target without waiting until it is due; one that is being asked is not asked again. Whoever needs a check that began
// later says so again until Last has it: what is under way may be it, and a failure too many would count towards a verdict.
func (m *Monitor) Soon(id uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.running[id]; a != nil && !a.now {
		select {
		case a.soon <- struct{}{}:
		default:
		}
	}
}

// Run asks what is wanted until the context ends.
func (m *Monitor) Run(ctx context.Context) {
	m.mu.Lock()
	m.ctx, m.slots = ctx, make(chan struct{}, atOnce)
	for _, a := range m.running {
		m.begin(a)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.works.Wait()
}

// Want replaces the targets. One that stays as it is goes on where it stands.
func (m *Monitor) Want(targets []Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.running
	m.running = map[uint16]*asking{}
	for _, t := range targets {
		if a := old[t.ID]; a != nil && reflect.DeepEqual(a.target, t) {
			m.running[t.ID] = a
			delete(old, t.ID)
			continue
		}
		a := &asking{target: t, soon: make(chan struct{}, 1)}
		m.running[t.ID] = a
		m.begin(a)
	}
	for _, a := range old {
		if a.stop != nil {
			a.stop()
		}
	}
}

// begin starts to ask, once the monitor runs. The lock is held.
func (m *Monitor) begin(a *asking) {
	if m.ctx == nil {
		return
	}
	ctx, stop := context.WithCancel(m.ctx)
	a.stop = stop
	m.works.Go(func() { m.ask(ctx, a) })
}

// ask asks one target until the context ends. Targets begin at a random moment of the first second, so that they are not all asked at once.
func (m *Monitor) ask(ctx context.Context, a *asking) {
	t := a.target
	state := Machine{Rise: t.Health.Rise, Fall: t.Health.Fall}
	wait := rand.N(min(promptly, t.Health.Every))
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.soon:
		case <-time.After(wait):
		}
		select {
		case <-ctx.Done():
			return
		case m.slots <- struct{}{}:
		}
		began := m.beginCheck(a)
		err := m.checkAll(ctx, t)
		<-m.slots
		if ctx.Err() != nil {
			return
		}
		m.mu.Lock()
		a.last, a.now = outcome{began, err}, false
		m.mu.Unlock()
		if state.Saw(err == nil) {
			m.Changed(t, err)
		}
		pace := t.Health.Every
		if err == nil && !state.known {
			pace = min(pace, promptly)
		}
		wait = pace*9/10 + rand.N(pace/5)
	}
}

// beginCheck notes that a target is being asked: whoever wanted that has his wish.
func (m *Monitor) beginCheck(a *asking) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.now = true
	select {
	case <-a.soon:
	default:
	}
	return time.Now()
}

// checkAll asks a target at each of its addresses.
func (m *Monitor) checkAll(ctx context.Context, t Target) error {
	for _, addr := range t.Addrs {
		if err := m.Check(ctx, *t.Health, addr); err != nil && len(t.Addrs) > 1 {
			return fmt.Errorf("%s: %w", addr, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Machine tells a backend that is well from a sick one: by so many checks in a row.
type Machine struct {
	Rise, Fall int

	well, known bool
	row         int // checks in a row that say otherwise, or the same while nothing is known
	last        bool
}

// Saw takes the outcome of a check, and says whether there is a verdict that is another one than before.
func (m *Machine) Saw(passed bool) (changed bool) {
	if passed != m.last || m.row == 0 {
		m.last, m.row = passed, 0
	}
	m.row++
	if m.known && passed == m.well {
		return false
	}
	need := m.Fall
	if passed {
		need = m.Rise
	}
	if m.row < need {
		return false
	}
	m.well, m.known = passed, true
	return true
}
