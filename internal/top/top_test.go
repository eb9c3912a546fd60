package top

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/journal"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock goes on by two seconds with each look at the status.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(2 * time.Second)
}

var (
	blue3  = api.GenerationRef{Number: 3, Colour: "blue", Version: "1.9"}
	green4 = api.GenerationRef{Number: 4, Colour: "green", Version: "2.0"}
)

// tide is an afternoon of one service: look by look its status, and the last one stays.
type tide struct {
	clock *clock
	mu    sync.Mutex
	looks int
	stays int // the look after which nothing changes, and no time goes
	flips []api.FlipRequest
	then  func(*api.Status) // changes what is seen
}

// turn is the look at which green goes live.
const turn = 20

func (d *tide) status(context.Context) (api.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.looks < d.stays {
		d.looks++
		d.clock.tick()
	}
	n := uint64(d.looks)
	blue := api.Generation{GenerationRef: blue3, State: api.StateLive, Sessions: api.Sessions{Total: 100 + 2*n}, New: 200 + 8*n, Packets: 90_000 * n, Bytes: 9_000_000 * n}
	green := api.Generation{GenerationRef: green4, State: api.StateCandidate}
	live := blue3
	if n > turn {
		live = green4
		blue.State, blue.Sessions.Total, blue.New = api.StateDraining, 140-5*(n-turn), 200+8*turn
		green.State, green.Sessions.Total, green.New = api.StateLive, 6*(n-turn), 7*(n-turn)
	}
	s := api.Status{
		Version: "v0.1.0", StartedAt: noon.Add(-2 * time.Hour), Tables: []api.Table{{Family: "ipv4", Slots: 1000, Used: 140}},
		Services: []api.Service{
			{Name: "world", Live: live, Generations: []api.Generation{blue, green}},
			{Name: "lobby", Live: api.GenerationRef{Number: 1, Colour: "blue", Version: "1.0"}, Generations: []api.Generation{
				{GenerationRef: api.GenerationRef{Number: 1, Colour: "blue", Version: "1.0"}, State: api.StateLive, Sessions: api.Sessions{Total: 1}},
			}},
		},
	}
	if d.then != nil {
		d.then(&s)
	}
	return s, nil
}

func (d *tide) change(then func(*api.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.then = then
}

func (d *tide) events(ctx context.Context, _ api.EventsRequest, yield func(api.Event) error) error {
	for _, e := range []api.Event{
		{},
		{Journal: &journal.Event{Seq: 8, Time: noon.Add(41 * time.Second), Service: "world", Act: "flip", Stage: journal.Done, Reason: "version 2.0"}},
		{Drain: &api.DrainProgress{Service: "world", Generation: blue3, State: api.StateDraining}},
	} {
		if err := yield(e); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (d *tide) flip(_ context.Context, req api.FlipRequest) (api.FlipResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flips = append(d.flips, req)
	return api.FlipResult{Service: req.Service, Changed: true, Live: green4, Old: &blue3}, nil
}

func (d *tide) flipped() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.flips)
}

// newTide has looked so often.
func newTide(stays int) (*tide, *apitest.Fake) {
	d := &tide{clock: &clock{at: noon}, stays: stays}
	return d, &apitest.Fake{OnStatus: d.status, OnEvents: d.events, OnFlip: d.flip}
}

func TestTheTideOnAScreen(t *testing.T) {
	for _, s := range []struct {
		name          string
		looks         int
		width, height uint16
	}{
		{"before a flip", 15, 80, 24},
		{"while it drains", 35, 80, 24},
		{"on a wide screen", 35, 120, 40},
		{"on a small screen", 35, 40, 10},
	} {
		t.Run(s.name, func(t *testing.T) {
			d, daemon := newTide(s.looks)
			mustStart(t, daemon, d.clock, s.width, s.height, nil).golden(strings.ReplaceAll(s.name, " ", "-"))
		})
	}
}

func TestAKeySaysWhatItWillDoAndDoesItOnlyAfterY(t *testing.T) {
	d, daemon := newTide(15)
	term := mustStart(t, daemon, d.clock, 80, 24, nil)
	term.shows("live 130") // all has been looked at
	term.press("f")
	term.golden("asked-to-flip")
	term.press("n")
	term.shows("flip world: left")
	if n := d.flipped(); n != 0 {
		t.Fatalf("%d flips before anybody has said yes", n)
	}
	term.press("f")
	term.shows("flip world?")
	term.press("y")
	term.golden("flipped")
	if n := d.flipped(); n != 1 || d.flips[0].Service != "world" || d.flips[0].To != "green" {
		t.Errorf("flips: %+v", d.flips)
	}
	term.press("q")
	term.ends()
}

func TestAYesIsOfTheStateThatWasAskedAbout(t *testing.T) {
	d, daemon := newTide(15)
	term := mustStart(t, daemon, d.clock, 80, 24, nil)
	term.shows("live 130")
	term.press("f")
	term.shows("flip world?")
	d.change(func(s *api.Status) { // somebody else has flipped
		s.Services[0].Live, s.Services[0].Generations[1].State = green4, api.StateLive
	})
	term.shows("▒ 4 green 2.0            live")
	term.press("y")
	term.shows("flip world: what is live has changed meanwhile")
	if n := d.flipped(); n != 0 {
		t.Errorf("%d flips of a state that nobody was asked about", n)
	}
}

func TestAQuestionIsOfTheServiceWhoseKeyItWas(t *testing.T) {
	d, daemon := newTide(15)
	asked, answer := make(chan struct{}), make(chan struct{})
	daemon.OnOutlook = func(context.Context, api.ReleasesRequest) (api.ReleasePlan, error) {
		close(asked)
		<-answer
		return api.ReleasePlan{Verification: api.Verification{From: blue3, To: green4}, Strategy: "session"}, nil
	}
	daemon.OnRelease = func(_ context.Context, req api.ReleaseRequest) (api.Release, error) {
		return api.Release{Service: req.Service, Number: 7}, nil
	}
	term := mustStart(t, daemon, d.clock, 80, 24, nil)
	term.shows("live 130")
	term.press("r")
	<-asked
	term.press("\t")
	term.shows("[lobby]")
	close(answer)
	term.shows("release world?")
	term.shows("with 130 sessions, to generation 4")
	term.press("y")
	term.shows("world: release 7 has begun")
}

func TestEachKeyAsksOrSaysWhyNot(t *testing.T) {
	release := api.Release{Number: 7, Service: "world", Strategy: "session", State: "draining", From: blue3, To: green4, Left: 65, AtFlip: 140, Flipped: &noon, Waits: "65 sessions"}
	busy := func(s *api.Status) { s.Services[0].Releases = []api.Release{release} }
	for name, row := range map[string]struct {
		key   string
		looks int
		then  func(*api.Status)
		want  []string
	}{
		"rollback":           {key: "b", looks: 35, want: []string{"rollback world?", "New sessions of world go to the generation that was live before. 90 sessions on", "generation 4 (green, version 2.0) stay until they end by themselves."}},
		"evict":              {key: "e", looks: 35, want: []string{"evict world?", "65 sessions on generation 3 (blue, version 1.9) move to generation 4"}},
		"evict of nothing":   {key: "e", looks: 15, want: []string{"evict world: nothing of world is left on an old generation"}},
		"close":              {key: "c", looks: 15, want: []string{"close world?", "130 sessions in progress stay."}},
		"open what is open":  {key: "o", looks: 15, want: []string{"open world: world is open already"}},
		"open":               {key: "o", looks: 15, then: func(s *api.Status) { s.Services[0].Closed = "reset" }, want: []string{"open world?", "New sessions of world go to generation 3 (blue, version 1.9) again. 130 sessions"}},
		"pause of nothing":   {key: "p", looks: 15, want: []string{"pause world: no release of world is under way"}},
		"pause":              {key: "p", looks: 35, then: busy, want: []string{"pause world?", "Release 7 of world is draining.", "Nobody is moved: 65 sessions stay"}},
		"resume":             {key: "u", looks: 35, then: busy, want: []string{"resume world?", "with 65 sessions left on the", "old generation."}},
		"abort":              {key: "a", looks: 35, then: busy, want: []string{"abort world?"}},
		"release":            {key: "r", looks: 15, want: []string{"release world?", "130 sessions, to generation 4 (green, version 2.0)", "The check health fails: 1 of 2 is sick.", "1. verify: checks", "2. drain: until the last has left"}},
		"flip to nothing":    {key: "f", looks: 15, then: func(s *api.Status) { s.Services[0].Generations = s.Services[0].Generations[:1] }, want: []string{"flip world: nothing to flip to: give the idle colour a version"}},
		"flip of a group":    {key: "f", looks: 15, then: grouped, want: []string{"New sessions of world go to generation 4", "New sessions of lobby go to generation 2"}},
		"what is no verb":    {key: "?", looks: 15, want: []string{"Each verb says first what it will do"}},
		"the next service":   {key: "\t", looks: 15, want: []string{"[lobby]", "1 blue 1.0"}},
		"the one before":     {key: "\x1b[Z", looks: 15, want: []string{"[lobby]"}},
		"a word of a group":  {key: "b", looks: 15, then: grouped, want: []string{"New sessions of lobby go to the generation that was live before. 1 session on"}},
		"all that is of one": {key: "", looks: 35, then: busy, want: []string{"release 7 (session): draining, waits: 65 sessions", "54% gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, daemon := newTide(row.looks)
			d.then = row.then
			daemon.OnOutlook = func(context.Context, api.ReleasesRequest) (api.ReleasePlan, error) {
				return api.ReleasePlan{
					Verification: api.Verification{From: blue3, To: green4, Checks: []api.Check{{Name: "next hops", OK: true}, {Name: "health", Detail: "1 of 2 is sick"}}},
					Strategy:     "session", Steps: []api.ReleaseStep{{State: "verify", What: "checks"}, {State: "drain", What: "until the last has left"}},
				}, nil
			}
			term := mustStart(t, daemon, d.clock, 80, 24, nil)
			term.shows("world")
			term.shows(map[int]string{15: "live 130", 35: "draining 65"}[row.looks])
			term.press(row.key)
			for _, want := range row.want {
				term.shows(want)
			}
		})
	}
}

// grouped has both services flip together.
func grouped(s *api.Status) {
	s.Services[0].Group, s.Services[1].Group = "shard", "shard"
	s.Services[1].Generations = append(s.Services[1].Generations, api.Generation{
		GenerationRef: api.GenerationRef{Number: 2, Colour: "green", Version: "1.1"}, State: api.StateCandidate,
	})
}

func TestADaemonThatIsAwayIsSaidAndWhatWasSeenStays(t *testing.T) {
	d, daemon := newTide(15)
	var away atomic.Bool
	daemon.OnStatus = func(ctx context.Context) (api.Status, error) {
		if away.Load() {
			return api.Status{}, errors.New("no daemon listens")
		}
		return d.status(ctx)
	}
	term := mustStart(t, daemon, d.clock, 80, 24, nil)
	term.shows("live 130")
	away.Store(true)
	term.shows("what is shown is old: no daemon listens; packets go on")
	term.shows("live 130")
	away.Store(false)
	term.await("nothing of it any more", func() bool { return !strings.Contains(term.text(), "what is shown is old") })
}

func TestWhatTheDaemonRefusesIsSaid(t *testing.T) {
	d, daemon := newTide(15)
	daemon.OnFlip = func(context.Context, api.FlipRequest) (api.FlipResult, error) {
		return api.FlipResult{}, api.Errorf(api.Refused, "service world: locked by anna until 14:00")
	}
	term := mustStart(t, daemon, d.clock, 80, 24, nil)
	term.shows("live 130")
	term.press("f")
	term.shows("flip world?")
	term.press("y")
	term.shows("flip world: service world: locked by anna until 14:00")
}

func TestColourIsLeftOutWhereItIsNotWanted(t *testing.T) {
	for _, colour := range []bool{true, false} {
		d, daemon := newTide(35)
		term := mustStart(t, daemon, d.clock, 80, 24, func(o *Options) { o.Colour = colour })
		term.shows("draining 65")
		if has := strings.Contains(term.bytes(), "\x1b[34m"); has != colour {
			t.Errorf("colour wanted: %t, there: %t", colour, has)
		}
	}
}
