package survive

import (
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
)

// A group flips as a whole or not at all, wherever the daemon is killed: what it had left between two stores is finished by
// the next one, before that answers anybody.
func TestKill9BetweenAnyTwoWritesOfAGroupsFlipLeavesAllOfItOrNone(t *testing.T) {
	t.Parallel()
	g := mustShard(t, "", "chat", "login", "world")
	// Each of the stores, and some of the other writes: those are as in a flip of one service.
	for _, at := range []struct {
		on string
		n  int
	}{
		{"flip: journal", 2}, {"flip: record", 2}, {"flip: store", 1}, {"flip: store", 2}, {"flip: store", 3}, {"flip: barrier", 1},
	} {
		g.kill(t)
		if !g.doom(t, at.on, at.n) {
			t.Fatal("a daemon that only starts makes a write of a flip")
		}
		g.flip(t)
		g.mustBeWhole(t)
	}
	g.fleet.Exchange(1)
	g.mustBeWhole(t)
	if g.halves != len(g.services)-1 {
		t.Errorf("killed between two stores %d times, want %d", g.halves, len(g.services)-1)
	}
	g.kill(t)
}

// A release of a group begins, flips and goes back as a whole or not at all, wherever the daemon is killed, and the next one goes
// on with it.
func TestKill9BetweenAnyTwoWritesOfAGroupsReleaseLeavesAllOfItOrNone(t *testing.T) {
	t.Parallel()
	g := mustShard(t, "{bake: 1h}", "login", "world")
	// The beginning of each, what each does for itself, and the stores; the rest is as in a release of one service.
	for _, at := range []struct {
		word, on string
		n        int
		live     string // afterwards
	}{
		{api.ReleaseStart, "release: journal", 2, "blue"}, {api.ReleaseStart, "release: save", 1, "green"},
		{api.ReleaseStart, "release: journal", 4, "green"}, {api.ReleaseStart, "flip: store", 1, "green"},
		{api.ReleaseStart, "flip: store", 2, "green"},
		{api.ReleaseRollback, "release: journal", 1, "green"}, {api.ReleaseRollback, "release: journal", 2, "blue"},
		{api.ReleaseRollback, "flip: store", 1, "blue"}, {api.ReleaseRollback, "flip: store", 2, "blue"},
	} {
		if at.word == api.ReleaseRollback {
			g.say(t, api.ReleaseStart)
			g.mustStandAt(t, "baking")
		}
		g.kill(t)
		if !g.doom(t, at.on, at.n) {
			t.Fatal("a daemon that only starts makes a write of a release")
		}
		// Nobody waits for its answer: the daemon dies at it, or behind it.
		g.host.Client.ReleaseGroup(t.Context(), api.GroupReleaseRequest{Group: "shard-1", Do: at.word, Force: at.word == api.ReleaseStart})
		point := g.mustDie(t)
		g.start(t)
		switch {
		case at.live == "green":
			g.mustStandAt(t, "baking")
		case at.word == api.ReleaseStart:
			g.mustStandAt(t, "")
		default:
			g.mustStandAt(t, "rolled-back")
		}
		g.mustAllBe(t, at.live, point)
		for _, name := range g.services {
			g.mustCountNone(t, name, point)
		}
		g.mustBeConsistent(t)
		g.mustBeWhole(t)
		if at.live == "green" { // the next one begins where this one did
			g.say(t, api.ReleaseRollback)
			g.mustStandAt(t, "rolled-back")
		}
	}
	g.fleet.Exchange(1)
	g.mustBeWhole(t)
	g.kill(t)
}

// shard is a stage whose services are one group.
type shard struct {
	*stage
	services []string
	halves   int // kills between two stores
}

// mustShard sets up services with that release, and a player in each.
func mustShard(t *testing.T, release string, services ...string) *shard {
	t.Helper()
	g := &shard{services: services}
	var set setting
	var all []game.Endpoint
	for i, name := range services {
		svc := both(name, port+uint16(i), calm)
		svc.Group, svc.Release = "shard-1", release
		set.services = append(set.services, svc)
		all = append(all, endpoints(port+uint16(i))...)
	}
	g.stage = mustStage(t, set, all...)
	for i := range services {
		g.fleet.Add(t.Context(), 1, role(endpoints(port+uint16(i))...))
	}
	return g
}

// say says a word of the group's releases.
func (g *shard) say(t *testing.T, word string) {
	t.Helper()
	if _, err := g.host.Client.ReleaseGroup(t.Context(), api.GroupReleaseRequest{Group: "shard-1", Do: word, Force: word == api.ReleaseStart}); err != nil {
		t.Fatal(err)
	}
}

// mustStandAt waits until the newest release of each service is in a state; none has any that is under way where that is empty.
func (g *shard) mustStandAt(t *testing.T, state string) {
	t.Helper()
	for _, name := range g.services {
		eventually(t, "the release of "+name+" to be "+state, func() bool {
			res, err := g.host.Client.Releases(t.Context(), api.ReleasesRequest{Service: name})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(res.Releases); n > 0 && !(state == "" && res.Releases[n-1].Over) {
				return res.Releases[n-1].State == state && (state != "rolled-back" || res.Releases[n-1].Over)
			}
			return state == ""
		})
	}
}

// flip flips the group with a daemon that dies at it, and starts another.
func (g *shard) flip(t *testing.T) {
	t.Helper()
	before := g.live(t, g.services[0])
	if _, err := g.host.Client.FlipGroup(t.Context(), api.GroupFlipRequest{Group: "shard-1"}); err == nil {
		t.Fatal("a flip whose daemon was to die at it has ended")
	}
	point := g.mustDie(t)
	var meanwhile []string // where newcomers go while nobody is in charge
	for i := range g.services {
		meanwhile = append(meanwhile, g.login(t, endpoints(port+uint16(i))...))
	}
	want := before
	if slices.Contains(meanwhile, other(before)) {
		want = other(before)
		if slices.Contains(meanwhile, before) {
			g.halves++
		}
	}
	g.start(t)
	g.mustAllBe(t, want, point)
	for _, name := range g.services {
		g.mustCountNone(t, name, point)
		g.mustBeTold(t, name, want != before, point)
	}
	g.mustBeConsistent(t)
}

// mustAllBe checks that the kernel's and the daemon's word on each service is one colour.
func (g *shard) mustAllBe(t *testing.T, colour, point string) {
	t.Helper()
	for i, name := range g.services {
		if live := g.live(t, name); live != colour {
			t.Errorf("killed at %s: %s is live for service %s, want %s", point, live, name, colour)
		}
		if to := g.login(t, endpoints(port+uint16(i))...); to != colour {
			t.Errorf("killed at %s: a newcomer of service %s was accepted by %s, want %s", point, name, to, colour)
		}
	}
}
