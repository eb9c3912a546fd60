package e2e

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// epoch is the time between a flip's return and the begin of the next.
type epoch struct {
	returned, next time.Time
	colour         string
}

func TestAThousandFlipsBreakNobodyAndMisplaceNobody(t *testing.T) {
	// 1,000 sessions over TCP and 1,000 over UDP, half of each over IPv6.
	flipToAndFro(t, setting{forwarding: lab.DSR}, 500, 1000)
}

func TestAHundredFlipsInNATBreakNobodyAndMisplaceNobody(t *testing.T) {
	flipToAndFro(t, setting{forwarding: lab.NAT, arms: lab.TwoArms}, 100, 100)
}

func flipToAndFro(t *testing.T, set setting, players, flips int) {
	t.Helper()
	set.vips, set.timeouts = []netip.Addr{lab.VIP4, lab.VIP6}, calm
	s := mustStage(t, set)
	s.fleet.Add(t.Context(), players, s.role())
	s.fleet.Exchange(1)
	between, straddling := s.churn(t, 0), s.churn(t, 1)
	var logins sync.WaitGroup
	var epochs []epoch
	for range flips {
		if n := len(epochs); n > 0 {
			epochs[n-1].next = time.Now()
		}
		logins.Go(func() { straddling.open(t) })
		result := s.flip(t)
		epochs = append(epochs, epoch{returned: time.Now(), colour: result.Live.Colour})
		if result.NewOnOld != 0 {
			t.Errorf("flip %d to %s: %d new sessions on the old colour after the barrier", len(epochs), result.Live.Colour, result.NewOnOld)
		}
		between.open(t)
		logins.Wait()
	}
	epochs[len(epochs)-1].next = time.Now()
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	judged := between.judge(t, s, epochs)
	if judged != 2*flips {
		t.Errorf("%d sessions were opened between two flips, want %d", judged, 2*flips)
	}
	straddling.judge(t, s, epochs)
}

// churn is sessions that come and go. Each has an address and port of its own, so that none is taken for another.
type churn struct {
	stage  *stage
	from   [2]netip.Addr // by family
	family int           // of the next two
	port   uint16
	all    []*game.Session
	gone   int
}

// churn comes from client address 2 and up.
func (s *stage) churn(t *testing.T, i int) *churn {
	t.Helper()
	v4, v6, err := s.lab.ClientAddresses(2 + i)
	if err != nil {
		t.Fatal(err)
	}
	return &churn{stage: s, from: [2]netip.Addr{v4[1+i], v6[1+i]}, port: 2000}
}

// open opens a session at every endpoint of one family, in turn, and has it answered; the oldest leave.
func (c *churn) open(t *testing.T) {
	from := c.from[c.family]
	c.family = 1 - c.family
	for _, e := range c.stage.endpoints {
		if e.Addr.Addr().Is4() != from.Is4() {
			continue
		}
		c.port++
		session, err := game.Open(context.Background(), c.stage.lab.Client, netip.AddrPortFrom(from, c.port), e)
		if err != nil {
			t.Error(err)
			return
		}
		if err := session.Ask(); err != nil {
			t.Error(err)
		}
		c.all = append(c.all, session)
	}
	for ; len(c.all)-c.gone > 100; c.gone++ {
		c.all[c.gone].Logout()
	}
}

// judge counts the sessions that were opened and accepted within one epoch, which must be on its colour, and sees to it
// that none is broken. It ends those that are left.
func (c *churn) judge(t *testing.T, s *stage, epochs []epoch) int {
	t.Helper()
	accepts := map[netip.AddrPort]game.Accept{}
	for _, a := range s.world.Log.All() {
		accepts[a.Client] = a
	}
	judged, misplaced := 0, 0
	for _, session := range c.all {
		session.Logout()
		r := session.Report()
		if len(r.Broken) != 0 {
			t.Errorf("%s %s: %q", r.Network, r.Client, r.Broken)
		}
		if e, ok := within(epochs, r.OpenedAt, accepts[r.Client].Time); ok {
			judged++
			if accepts[r.Client].Colour != e.colour || r.Colour != e.colour {
				misplaced++
			}
		}
	}
	if misplaced != 0 {
		t.Errorf("%d of %d sessions misplaced", misplaced, judged)
	}
	return judged
}

// within finds the epoch that both times are in.
func within(epochs []epoch, opened, accepted time.Time) (epoch, bool) {
	for _, e := range epochs {
		if opened.After(e.returned) && accepted.Before(e.next) && accepted.After(opened) {
			return e, true
		}
	}
	return epoch{}, false
}
