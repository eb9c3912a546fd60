package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
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
