// Command demo shows the tide turn: a small game on two blue and two green backends, 200 players, a flip while they
// play, new ones who come, old ones who leave, and blue as it empties. Who judges is not ebbtide: the players' own
// sequence numbers and the backends' own accept logs.
//
// With -break the flow table is taken out of the data plane, and the demo must end red.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
	"github.com/ebbtide/ebbtide/test/story"
)

const (
	players = 200
	port    = 7777
	atOnce  = 20 // players who come or leave in one step

	addresses = 8 // of clients, before and after the flip
	demoTime  = 110 * time.Second
	storyTime = 5 * time.Minute
)

func main() {
	host.Child()
	broken := flag.Bool("break", false, "take pinning out of the data plane: the demo must end red")
	tale := flag.String("story", "", "mmorpg: an afternoon of five services, each released by its own strategy")
	ui := flag.Bool("ui", false, "leave it running, with players who come and go, and print the address of the web page")
	reports := flag.String("reports", "bin/story", "directory for the reports of a story")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	length, play := demoTime, func(ctx context.Context) error { return run(ctx, *broken) }
	if *tale != "" {
		length, play = storyTime, func(ctx context.Context) error { return tell(ctx, *tale, *reports) }
	}
	cancel := stop
	if *ui { // until somebody interrupts it
		play = stay
	} else {
		ctx, cancel = context.WithTimeout(ctx, length)
	}
	defer cancel()
	if err := play(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		cancel()
		os.Exit(1)
	}
}

// tell plays a story.
func tell(ctx context.Context, name, reports string) error {
	if name != "mmorpg" {
		return fmt.Errorf("there is no story %q: the only one is mmorpg", name)
	}
	return story.Run(ctx, os.Stdout, reports)
}

// closeLab takes the lab away, and is not content with less than all of it.
func closeLab(l *lab.Lab) error {
	if err := l.Close(); err != nil {
		return err
	}
	leaks, err := l.Leaks()
	for _, leak := range leaks {
		err = errors.Join(err, fmt.Errorf("left behind: %s", leak))
	}
	return err
}

func run(ctx context.Context, broken bool) error {
	return set(ctx, broken, func(d *demo) error { return d.play(ctx) })
}

// set sets the demo up, and takes it away when it has been played.
func set(ctx context.Context, broken bool, play func(*demo) error) (err error) {
	l, err := lab.New(lab.Options{Forwarding: lab.DSR})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLab(l)) }()
	endpoints := []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port)}
	world, err := game.NewWorld(l, endpoints...)
	if err != nil {
		return err
	}
	defer world.Close()
	h, err := startHost(ctx, l, broken)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	if err := h.WaitForHops(ctx); err != nil {
		return err
	}
	// A UDP port that comes back within the timeout is the same session to anybody who sees packets only, so those who
	// come later have addresses of their own.
	clients, _, err := l.ClientAddresses(2 * addresses)
	if err != nil {
		return err
	}
	d := &demo{
		lab:   l,
		early: clients[:addresses], late: clients[addresses:],
		world: world, host: h, fleet: game.NewFleet(l.Client), tide: newTide(os.Stdout),
		role: game.Role{Endpoints: endpoints, ChatTick: time.Second, StateTick: 50 * time.Millisecond},
	}
	defer d.fleet.Close()
	return play(d)
}

func startHost(ctx context.Context, l *lab.Lab, broken bool) (*host.Host, error) {
	var opt host.Options
	if broken {
		opt.LeaveOut = bpftest.ProgramRuleRULE_PIN | bpftest.ProgramRuleRULE_ORPHAN
	}
	h, err := host.New(l, opt)
	if err != nil {
		return nil, err
	}
	yaml := host.YAML(l, lab.DSR, 65536, host.Service{
		Name: "world",
		Listeners: []string{
			fmt.Sprintf("{vip: %s, protocol: tcp, port: %d}", lab.VIP4, port),
			fmt.Sprintf("{vip: %s, protocol: udp, port: %d}", lab.VIP4, port),
		},
		// Short, so that the demo ends soon: what has ended leaves the table within seconds.
		Timeouts: "{tcp: 60s, tcp_half_open: 5s, tcp_closing: 2s, udp: 6s, udp_new: 6s, reuse_after: 5s}",
	})
	yaml += fmt.Sprintf("web: {listen: %q}\n", page)
	if err := h.Configure(yaml); err != nil {
		return nil, err
	}
	return h, h.Start(ctx)
}

// demo is the afternoon.
type demo struct {
	lab   *lab.Lab
	world *game.World
	host  *host.Host
	fleet *game.Fleet
	role  game.Role
	tide  *tide

	early, late []netip.Addr // clients' addresses before and after the flip

	flipped time.Time
	emptied time.Time
}

func (d *demo) play(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watching := d.watch(ctx)
	d.role.From = d.early
	for range players / atOnce {
		d.fleet.Add(ctx, atOnce, d.role)
	}
	d.tide.say("%d players are on blue", players)
	d.fleet.Exchange(2)
	result, err := d.host.Client.Flip(ctx, api.FlipRequest{Service: "world"})
	if err != nil {
		return err
	}
	d.flipped = time.Now()
	d.tide.say("flip: %s (version %s) is live; %d sessions play on on %s", result.Live.Colour, result.Live.Version, result.SessionsOnOld, result.Old.Colour)
	drained := d.drain(ctx)
	d.role.From = d.late
	for range players / atOnce {
		d.fleet.Add(ctx, atOnce, d.role)
		d.fleet.Exchange(1)
		d.fleet.Logout(atOnce)
	}
	d.tide.say("the last of the old players has logged out")
	err = <-drained
	stop()
	<-watching
	if err != nil {
		return fmt.Errorf("wait for the drain: %w", err)
	}
	return d.judge()
}

// drain waits for the daemon's word that blue is empty.
func (d *demo) drain(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- d.host.Client.WatchDrain(ctx, api.DrainRequest{Service: "world"}, func(p api.DrainProgress) error {
			if p.Done && p.State == api.StateDrained {
				d.emptied = time.Now()
				d.tide.say("drained: generation %d (%s) is empty", p.Generation.Number, p.Generation.Colour)
			} else if p.Done {
				return fmt.Errorf("%s ended as %s", p.Generation.Colour, p.State)
			}
			return nil
		})
	}()
	return done
}

// judge ends with the figures: of the players, and of the backends' accept logs.
func (d *demo) judge() error {
	totals := d.fleet.Totals()
	onBlue := d.fleet.OpenedAfter(d.flipped, &d.world.Log)["blue"]
	fmt.Printf("players %d · broken %d · new sessions on blue after the flip %d · blue empty after %.1f s\n",
		totals.Players, totals.Broken, onBlue, d.emptied.Sub(d.flipped).Seconds())
	for _, reason := range totals.Reasons {
		fmt.Fprintln(os.Stderr, "  broken:", reason)
	}
	open := d.world.Open()["blue"]
	if totals.Broken != 0 || onBlue != 0 || open != 0 {
		return fmt.Errorf("a promise is broken: %d players, %d sessions on the wrong side, %d still on blue when it was said to be empty", totals.Broken, onBlue, open)
	}
	return nil
}
