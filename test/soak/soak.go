package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

// Options of a run.
type Options struct {
	Length  time.Duration
	Seed    uint64 // of the moments of kills, and of what happens in which tide
	Players int    // who play on the colour that is left
	Host    host.Options
	Out     io.Writer
}

// Figures are what a run comes to.
type Figures struct {
	Took     time.Duration
	Tides    int // flips whose old colour was seen empty
	Players  int
	Sessions int
	Broken   int // players
	Misled   int // sessions that began on the old colour after the flip
	Early    int // sessions that were open when their colour was said to be drained
	Kills    int
	Reloads  int
	Back     int // rollbacks
	Reasons  []string

	Begin, End Held // of the daemon, in the last third, in which nobody kills it
}

// Err says which promise was broken.
func (f Figures) Err() error {
	if f.Broken+f.Misled+f.Early == 0 {
		return nil
	}
	return fmt.Errorf("a promise is broken: %d players, %d sessions on the wrong side, %d still open when drained: %v", f.Broken, f.Misled, f.Early, f.Reasons)
}

const (
	service = "world"
	port    = 7777
	groups  = 3 // of client addresses, in turn: over UDP a port that comes back at once is the same session
	inGroup = 4
)

// soak is a run.
type soak struct {
	Options
	Figures
	rnd     *rand.Rand
	lab     *lab.Lab
	world   *game.World
	host    *host.Host
	files   [2]string // configurations that a reload goes to and fro between
	clients []netip.Addr
	began   time.Time
}

// Run plays until its time is over, and a little longer where it saw no kill or no quiet tide, and ends with the tide that is under way then. When ctx ends before, the error has
// the stacks of the daemon.
func Run(ctx context.Context, o Options) (f Figures, err error) {
	s := &soak{Options: o, rnd: rand.New(rand.NewPCG(o.Seed, 0)), began: time.Now()}
	if s.lab, err = lab.New(lab.Options{Forwarding: lab.DSR}); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	endpoints := []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port)}
	if s.world, err = game.NewWorld(s.lab, endpoints...); err != nil {
		return f, err
	}
	defer s.world.Close()
	if s.clients, _, err = s.lab.ClientAddresses(groups * inGroup); err != nil {
		return f, err
	}
	if err := s.start(ctx); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.host.Stop()) }()
	if err := s.host.WaitForHops(ctx); err != nil {
		return f, err
	}
	err = s.play(ctx, endpoints)
	if ctx.Err() != nil {
		err = errors.Join(err, s.stacks())
	}
	s.Took = time.Since(s.began)
	return s.Figures, err
}

func (s *soak) start(ctx context.Context) (err error) {
	if s.host, err = host.New(s.lab, s.Options.Host); err != nil {
		return err
	}
	for i, timeout := range []string{"60s", "61s"} {
		s.files[i] = host.YAML(s.lab, lab.DSR, 65536, host.Service{
			Name:      service,
			Listeners: []string{fmt.Sprintf("{vip: %s, protocol: tcp, port: %d}", lab.VIP4, port), fmt.Sprintf("{vip: %s, protocol: udp, port: %d}", lab.VIP4, port)},
			Timeouts:  "{tcp: " + timeout + ", tcp_half_open: 5s, tcp_closing: 2s, udp: 6s, udp_new: 6s, reuse_after: 5s}",
		})
	}
	if err := s.host.Configure(s.files[0]); err != nil {
		return err
	}
	return s.host.Start(ctx)
}

// stacks ends a daemon that did not answer in time, and says what it was at.
func (s *soak) stacks() error {
	if err := errors.Join(s.host.Signal(syscall.SIGQUIT), s.host.Wait()); err != nil {
		return err
	}
	return fmt.Errorf("what the daemon was at:\n%s", s.host.Log())
}

// calm is the last third, in which nobody kills the daemon, so that what it holds can be compared. On a machine so slow
// that nobody has killed it yet, it begins later.
func (s *soak) calm() bool { return s.Kills > 0 && time.Since(s.began) > s.Length*2/3 }

// over says whether the time is over, with a tide in the last third.
func (s *soak) over() bool { return s.Begin.PID == s.host.PID() && time.Since(s.began) > s.Length }

func (s *soak) play(ctx context.Context, endpoints []game.Endpoint) error {
	role := game.Role{Endpoints: endpoints, ChatTick: time.Second / 2, StateTick: 100 * time.Millisecond, Patience: 20 * time.Second}
	old := s.newcomers(ctx, role, 0)
	defer func() { old.Close() }()
	for n := 1; !s.over(); n++ {
		if s.calm() && s.Begin.PID != s.host.PID() {
			s.Begin = s.held()
		}
		next, err := s.tide(ctx, old, role, n)
		if err != nil {
			return fmt.Errorf("tide %d: %w", n, err)
		}
		old = next
		if err := s.Err(); err != nil {
			return fmt.Errorf("tide %d: %w", n, err)
		}
		fmt.Fprintf(s.Out, "%8s  tide %d: %d players, %d kills, broken %d; %s\n", time.Since(s.began).Round(time.Second), s.Tides, s.Figures.Players, s.Kills, s.Broken, s.held())
	}
	s.End = s.held()
	return nil
}

// newcomers log in from the addresses of tide n.
func (s *soak) newcomers(ctx context.Context, role game.Role, n int) *game.Fleet {
	role.From = s.clients[n%groups*inGroup:][:inGroup]
	fleet := game.NewFleet(s.lab.Client)
	fleet.Add(ctx, s.Options.Players, role)
	fleet.Exchange(1)
	return fleet
}

// tide turns once: whoever comes after the flip is on the new colour, whoever was there leaves, and the old one is empty.
func (s *soak) tide(ctx context.Context, old *game.Fleet, role game.Role, n int) (*game.Fleet, error) {
	from, err := s.live(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.flip(ctx, other(from)); err != nil {
		return nil, err
	}
	flipped := time.Now()
	next := s.newcomers(ctx, role, n)
	s.Misled += next.OpenedAfter(flipped, &s.world.Log)[from]
	if err := s.disturb(ctx); err != nil {
		return next, err
	}
	old.Exchange(1)
	old.Logout(s.Options.Players)
	s.add(old)
	if err := s.Err(); err != nil {
		return next, err
	}
	if err := s.drained(ctx, from); err != nil {
		return next, err
	}
	s.Early += s.world.Open()[from]
	s.Tides++
	return next, nil
}

// add counts a fleet that has gone.
func (s *soak) add(f *game.Fleet) {
	t := f.Totals()
	s.Figures.Players += t.Players
	s.Sessions += t.Players * 2
	s.Broken += t.Broken
	s.Reasons = append(s.Reasons, t.Reasons...)
}

func other(colour string) string {
	if colour == "blue" {
		return "green"
	}
	return "blue"
}
