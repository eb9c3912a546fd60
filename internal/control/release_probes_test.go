package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/internal/release"
)

// absentNet is a probe net that does not ask, and says why.
type absentNet struct {
	Prober
	why error
}

func (n absentNet) Info(context.Context) (probe.Info, error) { return probe.Info{}, n.why }

// A release asks its candidate where it has probes. What can't be asked is said, and holds nothing up; what fails does, for
// its time from when the verify hooks are through.
func TestAReleaseAsksItsCandidate(t *testing.T) {
	const text = "bake: 1h, probes: [{tcp: 7777}], hooks: {verify: [{exec: [/x]}]}"
	for _, row := range []struct {
		name string
		why  error
		want release.State
		says string
	}{
		{"nobody can", probe.ErrAbsent, release.Baking, "; unknown: probe: not asked: no probe net runs on this host"},
		{"it can't be told", errors.New("the socket is cut"), release.Failed, "probe: the socket is cut"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := startReleases(t, "session", text)
			hook := make(chan struct{})
			a.Controller.mu.Lock()
			resolve(t, a.Controller)
			a.probing.net = absentNet{why: row.why}
			a.releases.hook = func(context.Context, release.Record, release.Hook) error { <-hook; return nil }
			a.Controller.mu.Unlock()
			_, err := a.Release(t.Context(), api.ReleaseRequest{Service: "s0", Do: api.ReleaseStart})
			must(t, err)
			a.later(2 * time.Minute) // a hook may take its time
			if r := a.mustBe(func(api.Release) bool { return true }); r.State != string(release.Verifying) {
				t.Fatalf("before the hook is through it is %s", r.State)
			}
			close(hook)
			if row.want == release.Failed {
				a.mustBe(func(r api.Release) bool { return r.Waits == row.says }, "waiting", row.says)
				a.later(2 * time.Minute)
			}
			a.mustCome(row.want, 0)
			said := false
			_, err = a.opt.Journal.Read(0, func(e journal.Event) error {
				said = said || e.Act == actRelease && strings.Contains(e.Reason, row.says)
				return nil
			})
			if err != nil || !said {
				t.Errorf("the journal does not say %q: %v", row.says, err)
			}
		})
	}
}

// askedNet is a probe net that is not there, and can be heard to be asked.
type askedNet struct {
	Prober
	asked  chan struct{} // each time
	answer chan struct{}
}

func (n askedNet) Info(context.Context) (probe.Info, error) {
	n.asked <- struct{}{}
	<-n.answer
	return probe.Info{}, probe.ErrAbsent
}

// What a candidate's backends answered says nothing of those that it got while its release waited.
func TestAReleaseAsksTheBackendsThatItsCandidateGotMeanwhile(t *testing.T) {
	const text = "bake: 1h, probes: [{tcp: 7777}], hooks: {verify: [{exec: [/x]}]}"
	a := startReleases(t, "session", text)
	net := askedNet{asked: make(chan struct{}, 2), answer: make(chan struct{}, 2)}
	hook := make(chan struct{})
	a.Controller.mu.Lock()
	resolve(t, a.Controller)
	a.probing.net = net
	a.releases.hook = func(context.Context, release.Record, release.Hook) error { <-hook; return nil }
	a.Controller.mu.Unlock()
	t.Cleanup(func() { close(net.answer) })
	_, err := a.Release(t.Context(), api.ReleaseRequest{Service: "s0", Do: api.ReleaseStart})
	must(t, err)
	_, err = a.Lock(t.Context(), api.LockRequest{Service: "s0", ForSeconds: 3600, Act: api.Act{Reason: "a tournament"}})
	must(t, err)
	close(hook)
	<-net.asked
	net.answer <- struct{}{}
	a.mustBe(func(r api.Release) bool {
		a.Controller.mu.Lock()
		defer a.Controller.mu.Unlock()
		return r.State == string(release.Verifying) && strings.HasPrefix(r.Waits, "locked by") && len(a.releases.probed) == 1
	}, "asked, and locked")

	a.later(time.Minute) // longer than checks may fail
	more := strings.Replace(manyServices(2, 2), "          - {address: 10.64.0.2}\n", "          - {address: 10.64.0.2}\n          - {address: 10.64.0.3}\n", 1)
	cfg, err := config.Parse("more.yaml", []byte(more))
	must(t, err)
	a.Controller.mu.Lock()
	want, _, err := a.build(cfg)
	must(t, err)
	must(t, a.write(want))
	resolve(t, a.Controller)
	a.changed()
	a.Controller.mu.Unlock()
	err = a.Unlock(t.Context(), api.UnlockRequest{Service: "s0"})
	must(t, err)
	r := a.mustBe(func(r api.Release) bool { return len(net.asked) > 0 || r.State != string(release.Verifying) }, "asked again")
	if r.State != string(release.Verifying) || r.Waits != "probe: the candidate is being asked" {
		t.Fatalf("with a backend that was not asked it is %+v", r)
	}
	net.answer <- struct{}{}
	a.mustCome(release.Baking, 0)
}

// Who rests while the others are asked has not answered. Who answered need not do so again when others come and go.
func TestAnAnswerIsOfThoseWhoGaveIt(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	r := release.Record{Service: "s1", Number: 7, To: release.Generation{Number: 2}}
	good := []release.Check{{Name: "probe", OK: true}}
	here := slices.Sorted(maps.Keys(c.takers(r)))
	if len(here) != 2 {
		t.Fatalf("%q take new sessions, want 2 backends", here)
	}
	c.keepAnswer(r, &candidateProbe{checks: good, of: map[string]bool{here[0]: true, "rests by now": true}})
	if c.newestAnswer(r) != nil {
		t.Error("it holds for a backend that was not asked")
	}
	c.keepAnswer(r, &candidateProbe{checks: good, of: map[string]bool{here[1]: true}})
	if p := c.newestAnswer(r); p == nil || p.of["rests by now"] {
		t.Errorf("of one that rested, and both of those here: %+v", p)
	}
	c.keepAnswer(r, &candidateProbe{checks: []release.Check{{Name: "probe"}}, of: map[string]bool{here[1]: true}})
	if c.newestAnswer(r) != nil {
		t.Error("an answer that was none leaves what was good before it")
	}
}
