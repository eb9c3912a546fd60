package watch

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/packaging/grafana"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	service = "world"
	port    = 7777
)

// Players play, a release is in its bake with a gate that passes and one that waits, and every panel shows something, no
// alert fires, and every rule can be evaluated. Then the daemon is killed, and that is an alert.
func TestThePanelsShowAndTheAlertsAreSilentWhileARelease(t *testing.T) {
	s := mustStage(t, "{bake: 10m, gates: [{name: usable, health: 50%, window: 5s}, {approval: ops}]}")
	p := mustScrapeEachSecond(t, s.lab)
	s.play(t, 2)
	p.await(t, "a scrape before the release", `ebbtide_generation_role{role="live", generation="1"}`)
	s.mustRelease(t)
	s.play(t, 2)
	s.tellOccupancy(t)
	p.await(t, "the gate to pass", `ebbtide_gate_verdict{gate="usable", verdict="pass"}`)

	for _, r := range grafana.Rows() {
		for _, panel := range r.Panels {
			for _, target := range panel.Targets {
				mustBeMetrics(t, panel.Title, target.Expr)
				p.await(t, "panel "+panel.Title, asGrafana(target.Expr))
			}
		}
	}
	p.await(t, "the marks of flips", asGrafana(grafana.FlipMarks))
	for _, v := range grafana.Variables() {
		var series []map[string]string
		p.get(t, "series", url.Values{"match[]": {asGrafana(v.Metric)}}, &series)
		if !slices.ContainsFunc(series, func(labels map[string]string) bool { return labels[v.Label] != "" }) {
			t.Errorf("variable %s has no value: %v", v.Name, series)
		}
	}
	for _, r := range mustRules(t) {
		if r.Record != "" {
			p.await(t, "record", r.Record)
		} else {
			p.mustBeSilent(t, r)
		}
	}
	p.mustEvaluate(t)
	s.mustBeWhole(t)

	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	p.await(t, "the daemon to be away", mustAlert(t, "EbbtideDaemonAway").Expr)
	s.mustBeWhole(t)
}

// mustBeSilent checks that an alert does not fire. What would have to hold for a while may be so for a moment: one scrape that
// is late is a daemon that is away.
func (p *prometheus) mustBeSilent(t *testing.T, r rule) {
	t.Helper()
	if r.For != "" {
		lab.Eventually(t, r.Alert+" to be silent on a good day: "+r.Expr, func() bool { return len(p.query(t, r.Expr)) == 0 })
	} else if fires := p.query(t, r.Expr); len(fires) > 0 {
		t.Errorf("%s would fire on a good day: %v", r.Alert, fires)
	}
}

// mustEvaluate looks at how Prometheus itself gets on with the rules.
func (p *prometheus) mustEvaluate(t *testing.T) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.get(t, "rules", nil, &data)
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(mustRules(t)); n != want {
		t.Errorf("Prometheus has %d rules, the file %d", n, want)
	}
}

func mustAlert(t *testing.T, name string) rule {
	t.Helper()
	for _, r := range mustRules(t) {
		if r.Alert == name {
			return r
		}
	}
	t.Fatalf("no alert %s", name)
	return rule{}
}

// stage is a lab with a daemon and players.
type stage struct {
	lab       *lab.Lab
	world     *game.World
	host      *host.Host
	fleet     *game.Fleet
	endpoints []game.Endpoint
}

// mustStage starts a daemon with a service whose releases are as given; more lines may follow for the head of the file.
func mustStage(t *testing.T, release string, head ...string) *stage {
	t.Helper()
	s := &stage{lab: lab.Must(t, lab.Options{Backends: []string{"blue1", "green1"}})}
	s.endpoints = []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port)}
	var err error
	if s.world, err = game.NewWorld(s.lab, s.endpoints...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.world.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.host, err = host.New(s.lab, host.Options{Metrics: metricsAddr}); err != nil {
		t.Fatal(err)
	}
	yaml := host.YAML(s.lab, lab.DSR, 65536, host.Service{Name: service, Release: release, Listeners: []string{
		"{vip: 198.18.0.10, protocol: tcp, port: 7777}", "{vip: 198.18.0.10, protocol: udp, port: 7777}"}})
	yaml = strings.ReplaceAll(yaml, "198.18.0.10", lab.VIP4.String())
	yaml = strings.Replace(yaml, "    pools:\n", "    health: {external: true}\n    occupancy: {external: true, every: 1m}\n    pools:\n", 1)
	if err := s.host.Configure(strings.Join(append(head, yaml), "\n")); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.host.Stop() // it may have been killed
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
	s.host.AwaitHops(t)
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	return s
}

// play lets players in.
func (s *stage) play(t *testing.T, n int) {
	t.Helper()
	s.fleet.Add(t.Context(), n, game.Role{Endpoints: s.endpoints, ChatTick: 100 * time.Millisecond, StateTick: 100 * time.Millisecond})
	s.fleet.Exchange(2)
}

func (s *stage) mustRelease(t *testing.T) {
	t.Helper()
	if _, err := s.host.Client.Release(t.Context(), api.ReleaseRequest{Service: service, Do: api.ReleaseStart}); err != nil {
		t.Fatal(err)
	}
	s.awaitRelease(t, "baking")
}

// awaitRelease waits until the newest release is in a state.
func (s *stage) awaitRelease(t *testing.T, state string) {
	t.Helper()
	lab.Eventually(t, "the release to be "+state, func() bool {
		all, err := s.host.Client.Releases(t.Context(), api.ReleasesRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		n := len(all.Releases)
		return n > 0 && all.Releases[n-1].State == state
	})
}

// tellOccupancy says how many players each backend holds.
func (s *stage) tellOccupancy(t *testing.T) {
	t.Helper()
	for _, b := range s.lab.Backends {
		req := api.OccupancyRequest{Service: service, Backend: b.V4.String(), Players: 2, Free: new(uint64(98))}
		if _, err := s.host.Client.Occupancy(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
}

// mustBeWhole checks that no player noticed anything.
func (s *stage) mustBeWhole(t *testing.T) {
	t.Helper()
	s.fleet.Exchange(2)
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		t.Errorf("%d of %d players broken: %q", totals.Broken, totals.Players, totals.Reasons)
	}
}
