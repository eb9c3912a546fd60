package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/health"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// newAsking is a controller of one service with two backends a pool whose health is told as given.
func newAsking(t *testing.T, how string) *Controller {
	t.Helper()
	c := newUnattached(t, strings.Replace(manyServices(1, 2), "    pools:", "    health: {"+how+"}\n    pools:", 1))
	must(t, c.askHealth())
	return c
}

// candidates are the backends of the candidate.
func (c *Controller) candidates() []uint16 {
	ids := c.image.BackendsOf(c.image.Services[1].Steer.Candidate)
	slices.Sort(ids)
	return ids
}

func (c *Controller) targetOf(id uint16) health.Target {
	b := c.image.Backends[id]
	return health.Target{ID: id, Addrs: []netip.Addr{b.Addrs[kernel.IPv4]}, Health: c.healthOf(b.Service)}
}

// A backend is asked in each family in which players come, and in no other; where they travel in the other one, in that.
func TestABackendIsAskedInTheFamiliesOfItsPlayers(t *testing.T) {
	const v4, v6, b4, b6 = "203.0.113.10", "2001:db8::10", "10.0.0.1", "fd00::1"
	for _, row := range []struct {
		forwarding           string
		vips, backend, asked []string
	}{
		{"dsr", []string{v4, v6}, []string{b4, b6}, []string{b4, b6}},
		{"dsr", []string{v4}, []string{b4, b6}, []string{b4}},
		{"dsr", []string{v6}, []string{b4, b6}, []string{b6}},
		{"ipip", []string{v4}, []string{b6}, []string{b6}},
	} {
		yaml := "interfaces: [eth0]\nmax_flows: 4096\nvip_addresses: none\nipip: {source: 2001:db8:1::/96}\nservices:\n  s0:\n    forwarding: " + row.forwarding + "\n    listeners:\n"
		for _, vip := range row.vips {
			yaml += fmt.Sprintf("      - {vip: %q, protocol: tcp, port: 7777}\n", vip)
		}
		yaml += fmt.Sprintf("    health: {tcp: 9999}\n    pools: {blue: {version: v0, backends: [{address: [\"%s\"]}]}}\n", strings.Join(row.backend, `", "`))
		c := newUnattached(t, yaml)
		for _, b := range c.image.Backends {
			if asked := fmt.Sprint(c.askedAt(b)); asked != fmt.Sprint(row.asked) {
				t.Errorf("%s, players at %s: %s is asked at %s, want %s", row.forwarding, row.vips, backendName(b), asked, row.asked)
			}
		}
	}
}

// Nothing is released to backends of which too few are known to be well.
func TestWhatIsVerifiedHasToBeWell(t *testing.T) {
	c := newAsking(t, "tcp: 9999")
	hasty, stop := context.WithCancel(t.Context()) // nobody asks them, so there is nothing to wait for
	stop()
	mustSay := func(ok bool, says string) {
		t.Helper()
		v, err := c.Verify(hasty, api.ReleasesRequest{Service: "s0"})
		must(t, err)
		for _, check := range v.Checks {
			if check.Name == "candidate health" {
				if check.OK != ok || check.Detail != says {
					t.Errorf("%+v, want %v: %s", check, ok, says)
				}
				return
			}
		}
		t.Errorf("no check of health: %+v", v.Checks)
	}
	ids := c.candidates()
	mustSay(false, "0 of 2 backends of generation 2 are well; 10.64.0.1 is not asked yet")
	for _, id := range ids {
		c.healthChanged(c.targetOf(id), nil)
	}
	mustSay(true, "2 of 2 backends of generation 2 are well")
	c.healthChanged(c.targetOf(ids[0]), errors.New("refused"))
	mustSay(true, "1 of 2 backends of generation 2 are well; 10.64.0.1 is sick: refused")
	c.healthChanged(c.targetOf(ids[1]), errors.New("refused"))
	mustSay(false, "0 of 2 backends of generation 2 are well; 10.64.0.1 is sick: refused")
}

// Backends that were just staged are asked soon, and a verify waits for what comes of it, however rarely they are asked.
func TestAVerifyWaitsForTheFirstVerdicts(t *testing.T) {
	for name, sick := range map[string]error{"2 of 2 backends of generation 2 are well": nil, "10.64.0.1 does not answer its check: refused": errors.New("refused")} {
		c := newAsking(t, "tcp: 9999, every: 1h")
		c.health = health.Monitor{Changed: c.healthChanged, Check: func(context.Context, config.Health, netip.Addr) error { return sick }}
		c.mu.Lock()
		c.wantHealth()
		c.mu.Unlock()
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { c.health.Run(ctx); close(over) }()
		v, err := c.Verify(t.Context(), api.ReleasesRequest{Service: "s0"})
		stop()
		<-over
		must(t, err)
		if said := fmt.Sprint(v.Checks); !strings.Contains(said, name) {
			t.Errorf("want %s: %s", name, said)
		}
	}
}

// Who gets the id of a backend that is gone does not get its verdict.
func TestAVerdictGoesWithItsBackend(t *testing.T) {
	c := newAsking(t, "tcp: 9999")
	gone := c.candidates()[0]
	c.healthChanged(c.targetOf(gone), errors.New("refused"))
	if c.image.Backends[gone].Use != kernel.Resting {
		t.Fatal("a sick backend does not rest")
	}
	had := c.image
	c.image = had.Clone()
	delete(c.image.Backends, gone)
	c.wantHealth()
	c.image = had.Clone()
	b := c.image.Backends[gone]
	b.Use = kernel.InPool
	c.image.Backends[gone] = b
	c.wantHealth()
	if is := c.shownHealth(gone); !is.Well || is.Since != nil {
		t.Errorf("the next one is %+v", is)
	}
}

// A verdict that waits while a reload holds the lock comes to a file that asks otherwise, or asks nobody: none would come to undo it.
func TestAVerdictOfAFileThatIsGoneCountsNoMore(t *testing.T) {
	c := newAsking(t, "tcp: 9999")
	id := c.candidates()[0]
	was, asked := c.targetOf(id), *c.healthOf(1)
	others, another := asked, asked
	others.External = true
	another.TCP = 1
	for name, now := range map[string]*config.Health{"none": nil, "others say it": &others, "another port": &another} {
		c.cfg.Services[0].Health = now
		must(t, c.askHealth())
		c.healthChanged(was, errors.New("refused"))
		if c.image.Backends[id].Use != kernel.InPool || c.rests.sick[id] != "" {
			t.Errorf("%s: the verdict of the file before counts: %q", name, c.rests.sick[id])
		}
		c.setSick(id, "")
		must(t, c.rest(1))
	}
}

// What somebody said of a backend holds until he says otherwise: over a reboot, which leaves nothing in the kernel, too.
func TestAWordHoldsOverAReboot(t *testing.T) {
	c := newAsking(t, "external: true")
	id := c.candidates()[0]
	say := func(well bool) {
		t.Helper()
		_, err := c.Health(t.Context(), api.HealthRequest{Service: "s0", Backend: "10.64.0.1", Well: well, Act: api.Act{Reason: "the disk"}})
		must(t, err)
	}
	for _, well := range []bool{false, true, false} {
		say(well)
		if rests := c.image.Backends[id].Use == kernel.Resting; rests == well {
			t.Errorf("said to be well: %v, it rests: %v", well, rests)
		}
	}
	c.healths, c.words, c.rests = nil, nil, rests{}
	must(t, c.rest(1))
	if c.image.Backends[id].Use != kernel.InPool {
		t.Fatal("what the reboot left rests")
	}
	must(t, c.recallWords())
	must(t, c.askHealth())
	if is := c.shownHealth(id); is.Well || is.Sick != "the disk" || c.image.Backends[id].Use != kernel.Resting {
		t.Errorf("after a reboot it is %+v", is)
	}
	// One that is full rests, and nobody has said that it is sick.
	other := c.candidates()[1]
	c.rests.full = map[uint16]string{other: "it said so"}
	must(t, c.rest(1))
	must(t, c.askHealth())
	if is := c.shownHealth(other); !is.Well {
		t.Errorf("one that is full is %+v", is)
	}
}

// What was changed is asked anew: that it was well before says nothing. A failure that makes nobody sick yet keeps it out, too.
func TestWhatWasChangedIsAskedAnew(t *testing.T) {
	c := newAsking(t, "tcp: 9999, every: 1h, rise: 1")
	var mu sync.Mutex
	answers := map[netip.Addr]error{}
	asked := make(chan netip.Addr, 100)
	c.health = health.Monitor{Changed: c.healthChanged, Check: func(_ context.Context, _ config.Health, a netip.Addr) error {
		mu.Lock()
		defer mu.Unlock()
		asked <- a
		return answers[a]
	}}
	c.mu.Lock()
	c.wantHealth()
	c.mu.Unlock()
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { c.health.Run(ctx); close(over) }()
	defer func() { stop(); <-over }()
	for range 4 { // all of them, for the first time
		<-asked
	}
	for id := range c.image.Backends { // and it is over: one that is being asked is not asked again
		for began, _ := c.health.Last(id); began.IsZero(); began, _ = c.health.Last(id) {
			time.Sleep(time.Millisecond)
		}
	}
	live := c.image.Services[1].Steer.Live
	ids := c.image.BackendsOf(live)
	slices.Sort(ids)
	first, second := c.image.Backends[ids[0]], c.image.Backends[ids[1]]
	for _, id := range ids {
		c.mu.Lock()
		c.verdictIs(id, verdict{time.Now(), ""})
		c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{IfIndex: 1})
		c.mu.Unlock()
	}
	for _, row := range []struct {
		strategy release.Strategy
		batch    int
		fails    error // the second backend's check
		ok       bool
		says     string
	}{
		{release.Rolling, 2, nil, true, "2 next hops"},
		{release.Rolling, 2, errors.New("refused"), false, backendName(second) + " does not answer its check: refused; "},
		{release.InPlace, 0, errors.New("refused"), true, backendName(second) + " does not answer its check: refused; "}, // the half is well
	} {
		mu.Lock()
		answers[second.Addrs[kernel.IPv4]] = row.fails
		mu.Unlock()
		c.mu.Lock()
		r := release.Record{Service: "s0", State: release.Checking, Since: c.releaseNow(), Plan: release.Plan{Strategy: row.strategy, Batch: row.batch},
			Backends: []string{backendName(first), backendName(second)}}
		check := c.changedCheck(1, live, r)
		c.mu.Unlock()
		if check.OK || !strings.HasPrefix(check.Detail, backendName(first)+" has not been asked since; ") {
			t.Fatalf("%s: before anybody asked: %+v", row.strategy, check)
		}
		// Both are asked at once, though the next check is an hour away.
		for deadline := time.Now().Add(time.Minute); strings.Contains(check.Detail, "asked since") && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			c.mu.Lock()
			check = c.changedCheck(1, live, r)
			c.mu.Unlock()
		}
		if check.OK != row.ok || !strings.HasPrefix(check.Detail, row.says) {
			t.Errorf("%s: %+v, want %v: %s", row.strategy, check, row.ok, row.says)
		}
	}
}

// A daemon that starts with a file that can't be read does not know how to ask, and sends nobody to who was sick.
func TestWhoWasSickRestsWhileTheFileCanNotBeRead(t *testing.T) {
	c := newAsking(t, "tcp: 9999")
	id := c.candidates()[0]
	c.healthChanged(c.targetOf(id), errors.New("refused"))
	cfg := c.cfg
	c.cfg, c.healths, c.rests = nil, nil, rests{}
	must(t, c.askHealth())
	if c.image.Backends[id].Use != kernel.Resting {
		t.Error("one that was sick takes new sessions")
	}
	c.cfg = cfg
	must(t, c.askHealth())
	if is := c.shownHealth(id); is.Well || c.image.Backends[id].Use != kernel.Resting {
		t.Errorf("with a file it is %+v", is)
	}
	c.healthChanged(c.targetOf(id), nil)
	if c.image.Backends[id].Use != kernel.InPool {
		t.Error("it does not come back")
	}
}

// Who rests is brought to the tables by a later sweep, where it could not be: to hear the same of a backend again is no news.
func TestARestThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	c := newAsking(t, "tcp: 9999")
	must(t, c.save(c.image))
	for i, what := range []string{"write", "rest: barrier"} {
		id := c.candidates()[i]
		must(t, c.sweep())
		was := c.rests.since[1]
		c.failing(what)
		c.healthChanged(c.targetOf(id), errors.New("refused"))
		if rests := c.image.Backends[id].Use == kernel.Resting; c.rests.since[1] != was || rests != (what != "write") {
			t.Fatalf("%s did not fail", what)
		}
		must(t, c.sweep())
		if c.image.Backends[id].Use != kernel.Resting || c.rests.since[1] != c.begun {
			t.Errorf("%s: it is %v, and sweeps count from %d on", what, c.image.Backends[id].Use, c.rests.since[1])
		}
		c.mustAgree(t)
		c.healthChanged(c.targetOf(id), nil)
	}
}

// Who is closed waits for its barrier, too: until that has come, a count says nothing of who is left.
func TestAClosedServiceWhoseBarrierFailedGetsItFromASweep(t *testing.T) {
	c := newAsking(t, "tcp: 9999")
	must(t, c.save(c.image))
	must(t, c.sweep())
	was, want := c.rests.since[1], c.image.Services[1]
	want.Steer.Busy = true
	c.failing("rest: barrier")
	if err := c.storeClosed(1, want); err == nil || c.rests.since[1] != was {
		t.Fatalf("the barrier did not fail: %v", err)
	}
	must(t, c.sweep())
	if c.rests.since[1] != c.begun {
		t.Errorf("sweeps count from %d on, want %d", c.rests.since[1], c.begun)
	}
}
