package operate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/lab"
)

// mustPairReleased is a pair whose releases bake for an hour. Somebody else's word says who of login is well: the old
// generation is.
func mustPairReleased(t *testing.T) *pair {
	t.Helper()
	p := mustPair(t)
	yaml := strings.ReplaceAll(p.yaml("2.0", ""), "    group: shard-1\n", "    group: shard-1\n    release: {bake: 1h}\n")
	at := strings.Index(yaml, "  login:\n")
	p.configure(t, yaml[:at]+strings.Replace(yaml[at:], "    group:", "    health: {external: true}\n    group:", 1))
	p.do(t, "reload").mustBe(t, 0, "…", "")
	p.isWell(t, "blue", "up")
	return p
}

// isWell says how login's backends of a colour are.
func (p *pair) isWell(t *testing.T, colour, word string) {
	t.Helper()
	for _, b := range p.lab.Backends {
		if b.Colour == colour {
			p.do(t, "health", "login", b.V4.String(), word).mustBe(t, 0, "…", "")
		}
	}
}

// mustStand waits until the releases of services are as wanted, of none those of both.
func (p *pair) mustStand(t *testing.T, wanted func(api.Release) bool, services ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), lab.ForEver)
	defer stop()
	if len(services) == 0 {
		services = []string{"login", service}
	}
	there := errors.New("there")
	for _, name := range services {
		var last api.Release
		err := p.host.Client.WatchRelease(ctx, api.ReleasesRequest{Service: name}, func(r api.Release) error {
			if last = r; wanted(r) {
				return there
			}
			return nil
		})
		if !errors.Is(err, there) {
			t.Fatalf("%v; the release is %+v", err, last)
		}
	}
}

// flips are the services of each flip of the group that the journal has, and those that were flipped alone.
func (p *pair) flips(t *testing.T, act string) (together, alone int) {
	t.Helper()
	err := p.host.Client.History(t.Context(), api.HistoryRequest{}, func(e journal.Event) error {
		if e.Act != act || e.Stage != journal.Begun {
			return nil
		}
		var is struct {
			Group string `json:"group"`
		}
		if err := json.Unmarshal(e.After, &is); err != nil {
			return err
		}
		if is.Group == "shard-1" {
			together++
		} else {
			alone++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return together, alone
}

// A candidate of one service that is sick keeps all of its group from the flip. Then all flip as one, and a word to one of them
// takes all back; whoever plays notices nothing.
func TestAGroupIsReleasedAndTakenBackAsOne(t *testing.T) {
	t.Parallel()
	p := mustPairReleased(t)
	p.newcomer(t, "blue")
	p.isWell(t, "green", "down")
	p.do(t, "release", "--group", "shard-1").mustBe(t, 0, "login: release 1: …world: release 1: …", "")
	waiter := p.begin(t, "release", "watch", "--group", "shard-1")
	p.mustStand(t, func(r api.Release) bool {
		return r.State == "verifying" && strings.HasPrefix(r.Waits, "its group is not ready: login: candidate health: ")
	}, service)
	p.do(t, "release", "status", "--group", "shard-1").mustBe(t, 0, "login: release 1: verifying\n…world: release 1: verifying\n…its group is not ready: login: candidate health: …", "")
	p.newcomer(t, "blue")
	p.isWell(t, "green", "up")
	p.mustStand(t, func(r api.Release) bool { return r.State == "baking" && r.Group == "shard-1" })
	p.newcomer(t, "green")
	if together, alone := p.flips(t, "flip"); together != 2 || alone != 0 {
		t.Errorf("%d services flipped together, %d alone", together, alone)
	}
	p.do(t, "release", "abort", "--group", "shard-1").mustBe(t, 5, "", "…release 1 is baking: it is live: roll it back\n")
	p.do(t, "rollback", "login").mustBe(t, 0, "login: "+blue1+" is live\n…", "")
	waiter.end(t).mustBe(t, 4, "…", "ebbtide: release watch --group shard-1: service …: release 1 is rolled-back: …\n")
	p.mustStand(t, func(r api.Release) bool { return r.State == "rolled-back" && r.Done })
	p.newcomer(t, "blue")
	if together, alone := p.flips(t, "rollback"); together != 2 || alone != 0 {
		t.Errorf("%d services went back together, %d alone", together, alone)
	}
	p.mustBeWhole(t)
}

// The next daemon knows as well what was released together.
func TestAGroupThatIsBakingGoesBackAfterARestartToo(t *testing.T) {
	t.Parallel()
	p := mustPairReleased(t)
	p.isWell(t, "green", "up")
	p.newcomer(t, "blue")
	p.do(t, "release", "--group", "shard-1").mustBe(t, 0, "login: release 1: …world: release 1: …", "")
	p.mustStand(t, func(r api.Release) bool { return r.State == "baking" })
	p.killed(t)
	p.newcomer(t, "green")
	p.do(t, "rollback", "--group", "shard-1").mustBe(t, 0, "login: "+blue1+" is live\n…world: "+blue1+" is live\n…group shard-1: 2 services, from the first store to the last …\n", "")
	p.mustStand(t, func(r api.Release) bool { return r.State == "rolled-back" && r.Done })
	p.newcomer(t, "blue")
	p.mustBeWhole(t)
}
