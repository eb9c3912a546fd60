package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// placedPrefix is a prefix of clients and where the file says so.
type placedPrefix struct {
	netip.Prefix
	at value
}

// Release is how a service is released.
type Release struct {
	Bake     time.Duration // for which gates are watched after the flip
	Deadline time.Duration // of the drain, from the flip on; 0: none
	Notice   *Notice       // nil: nobody is told
	Migrate  Migrate
	Steps    []Step        // of canary
	Batch    uint32        // of rolling: backends at a time
	Busy     Busy          // of in-place
	Window   time.Duration // of in-place; 0: until all have left
	Hooks    map[string][]Hook
	Gates    []Gate
	Probes   []Probe // of the candidate, over the real VIPs
}

// Migrate is how sessions are moved: so many at once, and a pause after each batch.
type Migrate struct {
	Batch uint32
	Every time.Duration
}

// Step is a share of the clients for a time. The flip is the last one.
type Step struct {
	Share uint16 // ten-thousandths
	For   time.Duration
}

// Busy is the answer to new sessions of a service that is closed.
type Busy string

// The answers.
const (
	BusyReset Busy = "reset"
	BusyICMP  Busy = "icmp"
	BusyPool  Busy = "pool"
)

// What holds where the file says nothing, and the most that it may say.
const (
	defaultBake    = 15 * time.Minute
	maxReleaseTime = 30 * 24 * time.Hour
	maxSteps       = 100
	maxMigrate     = 1_000_000
)

// defaultRelease is what holds where the file says nothing.
func defaultRelease(by Strategy) Release {
	r := Release{Migrate: Migrate{50, time.Second}}
	switch by {
	case Rolling:
		r.Batch = 1
		return r
	case InPlace:
		r.Busy = BusyReset
		return r
	case Canary:
		r.Steps = []Step{{500, 10 * time.Minute}, {2500, 10 * time.Minute}}
	}
	r.Bake = defaultBake
	return r
}

// ofStrategies are the keys that mean something to some strategies only.
var ofStrategies = []struct {
	key string
	by  []Strategy
}{
	{"bake", []Strategy{Session, Instant, Canary}},
	{"deadline", []Strategy{Session, Canary}},
	{"notice", []Strategy{Session, Canary}},
	{"migrate", []Strategy{Session, Canary, InPlace}},
	{"steps", []Strategy{Canary}},
	{"batch", []Strategy{Rolling}},
	{"busy", []Strategy{InPlace}},
	{"window", []Strategy{InPlace}},
	{"probes", []Strategy{Session, Instant, Canary}},
}

// release reads what a service says of its releases.
func (v value) release(by Strategy, listeners []placedListener) (testers []placedPrefix, r Release) {
	r = defaultRelease(by)
	v.remember()
	fields, ok := v.mapping("testers", "bake", "deadline", "notice", "migrate", "steps", "batch", "busy", "window", "gates", "hooks", "probes")
	if !ok {
		return nil, r
	}
	if v, ok := fields.get("testers"); ok {
		testers = v.testers()
	}
	if v, ok := fields.get("gates"); ok {
		r.Gates = v.gates()
	}
	if v, ok := fields.get("hooks"); ok {
		r.Hooks = v.hooks()
	}
	if v, ok := fields.get("gates"); ok {
		v.gatesOf(by, r)
	}
	if v, ok := fields.get("probes"); ok {
		r.Probes = v.probes(listeners)
	}
	fields.strategyOnly(by)
	fields.span("bake", 0, &r.Bake)
	fields.span("deadline", time.Second, &r.Deadline)
	fields.span("window", time.Second, &r.Window)
	if v, ok := fields.get("notice"); ok {
		r.Notice = v.notice(r)
	}
	if v, ok := fields.get("migrate"); ok {
		r.Migrate = v.migrate(r.Migrate)
	}
	if v, ok := fields.get("steps"); ok {
		r.Steps = v.steps()
	}
	fields.bounded("batch", &r.Batch, MaxBackends)
	if v, ok := fields.get("busy"); ok {
		r.Busy, _ = oneOf(v, BusyReset, BusyICMP, BusyPool)
	}
	return testers, r
}

// strategyOnly refuses what a strategy does not have.
func (m mapping) strategyOnly(by Strategy) {
	for _, k := range ofStrategies {
		if v, ok := m.get(k.key); ok && !slices.Contains(k.by, by) {
			v.fail("strategy %s has no %s: it is of %s", by, k.key, orOf(k.by))
		}
	}
}

// orOf lists choices.
func orOf[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, " or ")
}

// span reads key into at, which keeps its default where key is not there.
func (m mapping) span(key string, least time.Duration, at *time.Duration) {
	v, ok := m.get(key)
	if !ok {
		return
	}
	d, ok := v.duration()
	switch {
	case !ok:
	case d < least || d > maxReleaseTime:
		v.fail("want %s to %s, got %s", short(least), short(maxReleaseTime), short(d))
	default:
		*at = d
	}
}

func (v value) migrate(m Migrate) Migrate {
	fields, ok := v.mapping("batch", "every")
	if !ok {
		return m
	}
	fields.bounded("batch", &m.Batch, maxMigrate)
	if v, ok := fields.get("every"); ok {
		d, ok := v.duration()
		if ok && (d < 100*time.Millisecond || d > time.Hour) {
			v.fail("want 100ms to 1h, got %s", short(d))
		}
		m.Every = d
	}
	return m
}

// steps reads those of a canary. A share that gets smaller would let nobody new in, and is no step.
func (v value) steps() (steps []Step) {
	items, ok := v.list()
	if ok && len(items) > maxSteps {
		v.fail("%d steps are more than %d", len(items), maxSteps)
		return nil
	}
	for _, item := range items {
		fields, ok := item.mapping("share", "for")
		if !ok {
			continue
		}
		var s Step
		if v, ok := fields.need("share"); ok {
			s.Share = v.clientShare()
			if n := len(steps); n > 0 && s.Share != 0 && s.Share <= steps[n-1].Share {
				v.fail("a step has a larger share than the one before it")
			}
		}
		if _, ok := fields.need("for"); ok {
			fields.span("for", 0, &s.For)
		}
		steps = append(steps, s)
	}
	return steps
}

// clientShare reads a part of the clients such as 5% or 0.25%.
func (v value) clientShare() uint16 {
	text, ok := v.text()
	if !ok {
		return 0
	}
	number, percent := strings.CutSuffix(text, "%")
	p, err := strconv.ParseFloat(number, 64)
	parts := math.Round(p * 100)
	if err != nil || !percent || !(p > 0 && p <= 100) || math.Abs(parts-p*100) > 1e-6 || parts == 0 {
		v.fail("want a share from 0.01%% to 100%% in steps of 0.01%%, such as 5%%, got %s", quote(text))
		return 0
	}
	return uint16(parts)
}

// testers reads the clients that go to what is staged.
func (v value) testers() (testers []placedPrefix) {
	v.remember()
	items, _ := v.list()
	seen := map[netip.Prefix]value{}
	for _, item := range items {
		p, ok := item.clients()
		if !ok {
			continue
		}
		if first, twice := seen[p]; twice {
			item.fail("%s is already %s on line %d", p, first.field, first.line)
			continue
		}
		seen[p] = item
		testers = append(testers, placedPrefix{p, item})
	}
	return testers
}

// clients reads a prefix of clients, or one client's address.
func (v value) clients() (netip.Prefix, bool) {
	text, ok := v.text()
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := ParseClients(text)
	if err != nil {
		v.fail("%s", err)
	}
	return p, err == nil
}

// ParseClients reads a prefix of clients, or one client's address. What has bits behind its length is refused: it may be
// a slip in either.
func ParseClients(text string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(text)
	if err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil && !strings.Contains(text, "/") && addr.Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s is an IPv4 address mapped into IPv6: write %s", plain(text), addr.Unmap())
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("want an address or a prefix of clients such as 198.51.100.0/24, got %s", quote(text))
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has bits behind its length: write %s", plain(text), p.Masked())
	}
	return p, nil
}

// checkTesters refuses clients of a family in which nobody can come.
func (s *placedService) checkTesters() {
	has := map[string]bool{}
	for _, l := range s.listeners {
		has[family(l.VIP)] = true
	}
	for _, t := range s.testers {
		if s.sound && !has[family(t.Addr())] {
			t.at.fail("%s is %s, and no listener of the service is", t.Prefix, family(t.Addr()))
		}
	}
}
