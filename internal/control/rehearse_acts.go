package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/probe"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// How many synthetic sessions come before the flip, after it and after the rollback, and how many of the first stay to be
// moved. TCP and UDP take turns.
const (
	playersBefore = 8
	playersAfter  = 4
	playersStay   = 2
)

// playEvery is how often players send while something is waited for: their silence must end none of their sessions.
const playEvery = 500 * time.Millisecond

// cast puts the shadow into the kernel.
func (r *rehearsal) cast(ctx context.Context) (string, error) {
	if err := r.players.Forget(ctx); err != nil {
		return "", err
	}
	v := api.Verification{Service: r.out.Service, From: r.out.From, To: r.out.To}
	if err := r.castShadow(ctx, r.act, v); err != nil {
		return "", err
	}
	return fmt.Sprintf("a service %s at %s, which no interface holds; players and backends are the probe net's", shadowName, probe.ShadowVIP), nil
}

// arrive has players come before the flip.
func (r *rehearsal) arrive(ctx context.Context) (string, error) {
	if err := r.come(ctx, playersBefore, kernel.Blue); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d sessions, all on blue", playersBefore), nil
}

// come has so many players come, all of whom a colour has to take.
func (r *rehearsal) come(ctx context.Context, n int, to kernel.Colour) error {
	came, err := r.players.Open(ctx, n)
	if err != nil {
		return err
	}
	return all(came, fmt.Sprintf("come to %s", image.ColourName(to)), func(p probe.Player) bool { return p.Colour == image.ColourName(to) })
}

// all checks that nothing is broken and that every player is as he has to be.
func all(players []probe.Player, has string, ok func(probe.Player) bool) error {
	for _, p := range players {
		switch {
		case p.Broken != "":
			return fmt.Errorf("the %s session of %s is broken: %s", p.Network, p.Client, p.Broken)
		case !ok(p):
			return fmt.Errorf("the %s session of %s is on %s, and had to %s", p.Network, p.Client, p.Colour, has)
		}
	}
	return nil
}

// stay lets all players send a message, and wants none of them moved or broken.
func (r *rehearsal) stay(ctx context.Context) (list []probe.Player, err error) {
	if list, err = r.players.Exchange(ctx); err != nil {
		return nil, err
	}
	return list, all(list, "stay where it was", func(p probe.Player) bool { return p.Told == 0 && p.Moved == 0 })
}

// flip flips the shadow: who plays stays, who comes is on green.
func (r *rehearsal) flip(ctx context.Context) (string, error) {
	res, err := r.Flip(ctx, api.FlipRequest{Service: shadowName})
	if err != nil {
		return "", err
	}
	return r.turned(ctx, res, kernel.Green)
}

// rollback flips it back.
func (r *rehearsal) rollback(ctx context.Context) (string, error) {
	if err := r.players.End(ctx, ids(r.list, func(p probe.Player) bool { return p.Moved > 0 })); err != nil {
		return "", err
	}
	res, err := r.Rollback(ctx, api.RollbackRequest{Service: shadowName})
	if err != nil {
		return "", err
	}
	return r.turned(ctx, res, kernel.Blue)
}

func (r *rehearsal) turned(ctx context.Context, res api.FlipResult, to kernel.Colour) (string, error) {
	before, err := r.stay(ctx)
	if err != nil {
		return "", err
	}
	if err := r.come(ctx, playersAfter, to); err != nil {
		return "", err
	}
	if res.NewOnOld > 0 {
		return "", fmt.Errorf("%d new sessions on the old generation since", res.NewOnOld)
	}
	return fmt.Sprintf("%d new sessions on the old generation since; barrier %s; %d sessions stayed, none of them broken; %d new ones, all on %s",
		res.NewOnOld, time.Duration(res.BarrierMicros)*time.Microsecond, len(before), playersAfter, image.ColourName(to)), nil
}

// drain has all but a few of the old players leave, and waits until the kernel counts those.
func (r *rehearsal) drain(ctx context.Context) (string, error) {
	list, err := r.stay(ctx)
	if err != nil {
		return "", err
	}
	old := ids(list, func(p probe.Player) bool { return p.Colour == image.ColourName(kernel.Blue) })
	if err := r.players.End(ctx, old[playersStay:]); err != nil {
		return "", err
	}
	// Those who stay play on meanwhile: silence is no end of theirs.
	failed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { failed <- r.playOn(ctx) }()
	r.sweepSoon()
	err = r.await(ctx, fmt.Sprintf("%d sessions to be left", playersStay), func() string {
		if n := r.shadowLeft(kernel.Blue); n != playersStay {
			return fmt.Sprintf("%d are", n)
		}
		return ""
	})
	stop()
	if broke := <-failed; err == nil {
		err = broke
	}
	return fmt.Sprintf("%d of %d left, and the kernel counts the other %d", len(old)-playersStay, len(old), playersStay), err
}

// playOn lets the players send messages until the context ends.
func (r *rehearsal) playOn(ctx context.Context) error {
	ticker := time.NewTicker(playEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if _, err := r.stay(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
}

// shadowLeft is what the kernel counts on the shadow's generation of a colour. The lock is held.
func (r *rehearsal) shadowLeft(colour kernel.Colour) uint64 {
	service, _ := r.image.ServiceNamed(shadowName)
	g, _ := r.image.InColour(service, colour)
	return r.sessions(g).Total
}

func ids(list []probe.Player, wanted func(probe.Player) bool) (out []int) {
	for _, p := range list {
		if wanted(p) {
			out = append(out, p.ID)
		}
	}
	return out
}

// notice finds those who would be told, as the kernel has them.
func (r *rehearsal) notice(ctx context.Context) (string, error) {
	list, err := r.stay(ctx)
	if err != nil {
		return "", err
	}
	var told []string
	err = r.Flows(ctx, api.FlowFilter{Service: shadowName}, func(f api.Flow) error {
		if f.Generation.Colour == image.ColourName(kernel.Blue) {
			told = append(told, f.Client)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, p := range list {
		if p.Colour == image.ColourName(kernel.Blue) && !slices.Contains(told, p.Client.String()) {
			return "", fmt.Errorf("the %s session of %s is not among those who would be told: %q", p.Network, p.Client, told)
		}
	}
	slices.Sort(told)
	return fmt.Sprintf("%d would be told: %v; no hook was run", len(told), told), nil
}

// migrate moves those who are left: TCP by a RST, upon which the player connects anew, UDP with the next packet.
func (r *rehearsal) migrate(ctx context.Context) (string, error) {
	r.mu.Lock()
	service, _ := r.image.ServiceNamed(shadowName)
	g, _ := r.image.InColour(service, kernel.Blue)
	number := r.image.Generations[g].Number
	r.mu.Unlock()
	req := api.EvictRequest{Service: shadowName, Generation: number, Batch: playersBefore, EverySeconds: api.MinEvictEvery.Seconds()}
	var marked uint64
	if err := r.Evict(ctx, req, func(p api.EvictProgress) error { marked = p.Marked; return nil }); err != nil {
		return "", err
	}
	var err error
	for range 4 { // a session's first packet goes to its backend as a RST, and the next one tells the player
		if r.list, err = r.players.Exchange(ctx); err != nil {
			return "", err
		}
	}
	green := image.ColourName(kernel.Green)
	if err := all(r.list, "go to green", func(p probe.Player) bool { return p.Colour == green }); err != nil {
		return "", err
	}
	tcp, udp := 0, 0
	for _, p := range r.list {
		tcp += p.Told
		if p.Moved > 0 && p.Network == "udp" {
			udp++
		}
	}
	if marked != playersStay || tcp+udp != playersStay {
		return "", fmt.Errorf("%d sessions were marked, %d told by a RST and %d moved by their next packet, want %d in all", marked, tcp, udp, playersStay)
	}
	return fmt.Sprintf("%d sessions moved: %d told by a RST, %d by its next packet; none stalled, none of the others was touched", playersStay, tcp, udp), nil
}

// drained waits for the kernel's proof that the old generation is empty.
func (r *rehearsal) drained(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, shadowPatience)
	defer cancel()
	failed := make(chan error, 1)
	playing, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for playing.Err() == nil {
			if _, err := r.players.Exchange(ctx); err != nil {
				failed <- err
				return
			}
			select {
			case <-playing.Done():
			case <-time.After(playEvery):
			}
		}
		failed <- nil
	}()
	var last api.DrainProgress
	err := r.WatchDrain(ctx, api.DrainRequest{Service: shadowName}, func(p api.DrainProgress) error {
		last = p
		return nil
	})
	stop()
	if broke := <-failed; err == nil {
		err = broke
	}
	if err != nil {
		return "", fmt.Errorf("it is %s, %d left: %w", last.State, last.Left.Total, err)
	}
	if last.State != api.StateDrained || last.NewSinceFlip > 0 {
		return "", fmt.Errorf("it is %s, with %d new sessions since the flip", last.State, last.NewSinceFlip)
	}
	return "proved by the kernel's count; " + last.Verdict + " " + last.Evidence, nil
}

// logs compares what the backends saw with what the players did.
func (r *rehearsal) logs(ctx context.Context) (string, error) {
	served, err := r.players.Served(ctx)
	if err != nil {
		return "", err
	}
	n := map[string]int{}
	for _, s := range served {
		n[s.Colour]++
	}
	blue, green := n[image.ColourName(kernel.Blue)], n[image.ColourName(kernel.Green)]
	if blue != playersBefore+playersAfter || green != playersAfter+playersStay {
		return "", fmt.Errorf("the backends have served %d sessions on blue and %d on green, and had to %d and %d",
			blue, green, playersBefore+playersAfter, playersAfter+playersStay)
	}
	return fmt.Sprintf("the backends have served %d sessions on blue and %d on green, those that the players had", blue, green), nil
}
