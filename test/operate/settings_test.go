package operate

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/maps"
)

// What holds for all services reaches the program with each reload, and stays over a restart and an upgrade.
func TestSettingsReachTheProgram(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	cpus, err := loader.OnlineCPUs()
	if err != nil {
		t.Fatal(err)
	}
	s.mustBeSet(t, true, 1000, false)
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")

	yaml := strings.NewReplacer(
		"services:\n", "echo: false\nanswers: 64\nipip: {source: 10.250.0.0/16}\nservices:\n", "    forwarding:", "    mss: auto\n    limits: {new_flows: {rate: 50}, half_open: 25%}\n    forwarding:",
	).Replace(s.yaml())
	s.configure(t, yaml)
	plan := s.do(t, "plan")
	for _, line := range []string{"echo from true to false", "answers from ", "ipip.source 10.250.0.0/16", "world    mss from keep to auto", "world    new limits, for flows that begin after it"} {
		if !strings.Contains(plan.stdout, line) {
			t.Errorf("the plan does not say %q:\n%s", line, plan.stdout)
		}
	}
	s.do(t, "reload").mustBe(t, 0, plan.stdout, "")
	s.mustBeSet(t, false, 64/float64(cpus), true)
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")

	s.configure(t, strings.Replace(yaml, "max_flows: 65536", "max_flows: 70000", 1))
	s.do(t, "reload").mustBe(t, 0, "SERVICE  CHANGE\n-        max_flows from 65536 to 70000: the flow tables are replaced, and every flow is taken along\n", "")
	s.mustBeSet(t, false, 64/float64(cpus), true)
	s.mustKeepTheOuterSource(t)

	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	s.configure(t, s.yaml())
	s.start(t)
	s.mustBeSet(t, true, 1000, false)
	s.mustKeepTheOuterSource(t)
}

// mustKeepTheOuterSource: sessions may still be carried.
func (s *stage) mustKeepTheOuterSource(t *testing.T) {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := p.Tables.OuterSource(maps.IPv4).String(); got != "10.250.0.0/16" {
		t.Errorf("outer source %s", got)
	}
}

func (s *stage) mustBeSet(t *testing.T, echo bool, answers float64, mss bool) {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Tables.Echo() != echo {
		t.Errorf("echo is answered: %v, want %v", !echo, echo)
	}
	for _, kind := range maps.EveryLimited() {
		if got, want := p.Tables.Limit(kind), p.Ticks.Rate(answers); got != want {
			t.Errorf("limit of kind %d: %d a CPU and tick, want %d", kind, got, want)
		}
	}
	for _, svc := range p.Tables.Services() {
		if svc.ClampMSS != mss {
			t.Errorf("service %s: MSS is clamped: %v, want %v", svc.Name, svc.ClampMSS, mss)
		}
		limited := maps.NewFlows{Rate: p.Ticks.Rate(50), Burst: 100, Bits: [2]uint8{24, 56}}
		if set := svc.NewFlows == limited && svc.HalfOpen == 2; set != mss || !set && (svc.NewFlows.Rate != 0 || svc.HalfOpen != 0) {
			t.Errorf("service %s: new flows are limited by %+v, half-open ones to %d", svc.Name, svc.NewFlows, svc.HalfOpen)
		}
	}
}
