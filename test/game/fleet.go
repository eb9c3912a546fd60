package game

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// hands is how many players log in or out at once: each login holds an OS
// thread until the connection stands.
const hands = 16

// Fleet is many players of one host. Its methods may be used from several
// goroutines.
type Fleet struct {
	host Dialer

	mu      sync.Mutex
	count   int
	playing []*Player
	gone    []*Player
}

// NewFleet is a fleet without players.
func NewFleet(host Dialer) *Fleet { return &Fleet{host: host} }

// Add logs n players in and returns when all play. Those whose login failed
// are broken.
func (f *Fleet) Add(ctx context.Context, n int, role Role) []*Player {
	f.mu.Lock()
	first := f.count
	f.count += n
	f.mu.Unlock()
	players := make([]*Player, n)
	eachPlayer(n, func(i int) { players[i] = Start(ctx, f.host, first+i, role) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.playing = append(f.playing, players...)
	return players
}

// Logout logs out the n players who have played longest, or all if there are
// fewer, and returns when they are gone.
func (f *Fleet) Logout(n int) { f.remove(n, (*Player).Logout) }

// Reset is [Fleet.Logout] the way killed processes leave.
func (f *Fleet) Reset(n int) { f.remove(n, (*Player).Reset) }

// Exchange waits until each session in progress had n more answers, or broke
// while it waited.
func (f *Fleet) Exchange(n uint64) {
	var g errgroup.Group
	for _, p := range f.Playing() {
		g.Go(func() error {
			p.Exchange(n)
			return nil
		})
	}
	g.Wait() // no function returns an error
}

// Playing are the players who have not been taken out, oldest first.
func (f *Fleet) Playing() []*Player {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.playing)
}

// Close ends the sessions that are left, without a goodbye.
func (f *Fleet) Close() { f.Reset(len(f.Playing())) }

// remove takes n players out, oldest first.
func (f *Fleet) remove(n int, leave func(*Player)) {
	f.mu.Lock()
	n = min(n, len(f.playing))
	players := f.playing[:n:n]
	f.playing = f.playing[n:]
	f.gone = append(f.gone, players...)
	f.mu.Unlock()
	eachPlayer(n, func(i int) { leave(players[i]) })
}

// eachPlayer does something for n players, a few at once.
func eachPlayer(n int, do func(i int)) {
	var g errgroup.Group
	g.SetLimit(hands)
	for i := range n {
		g.Go(func() error {
			do(i)
			return nil
		})
	}
	g.Wait() // no function returns an error
}

// all is everybody who ever played.
func (f *Fleet) all() []*Player {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Concat(f.gone, f.playing)
}

// Totals are the figures of a fleet.
type Totals struct {
	Players  int // who ever came
	Broken   int // players
	Sessions int // still in progress
	// Colours counts the sessions in progress by colour.
	Colours map[string]int
	// Reasons are some of what broke players, for a message.
	Reasons []string
}

// Totals gathers the figures of the moment.
func (f *Fleet) Totals() Totals {
	t := Totals{Colours: map[string]int{}}
	for _, p := range f.all() {
		t.Players++
		if broken := p.Broken(); len(broken) > 0 {
			t.Broken++
			t.addReasons(broken)
		}
		for _, r := range p.Reports() {
			if !r.Over {
				t.Sessions++
				t.Colours[r.Colour]++
			}
		}
	}
	return t
}

// addReasons keeps the first few reasons.
func (t *Totals) addReasons(broken []string) {
	if len(t.Reasons) < maxReasons {
		t.Reasons = append(t.Reasons, broken...)
	}
}

// OpenedAfter counts the sessions opened after t by the colour of the backend
// whose log has them; a session that several backends took counts for each,
// and one that no log has under the empty colour.
func (f *Fleet) OpenedAfter(t time.Time, log *AcceptLog) map[string]int {
	entries := byClient(log.Since(t))
	colours := map[string]int{}
	for _, p := range f.all() {
		for _, r := range p.Reports() {
			if !r.OpenedAt.After(t) {
				continue
			}
			accepts := acceptsOf(entries[r.Client], r)
			if len(accepts) == 0 {
				colours[""]++
			}
			for _, a := range accepts {
				colours[a.Colour]++
			}
		}
	}
	return colours
}
