package config

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Gate is a condition on which a release goes on. Exactly one of Kernel, Health, Prometheus.URL, Webhook and Approval says
// what it asks.
type Gate struct {
	Name       string
	Kernel     KernelFact // what the kernel counts
	Health     float64    // share of the candidate's backends that has to be usable
	Prometheus Prometheus
	Webhook    string // address of one that answers {"verdict": "pass"}, "fail" or "pending"
	SecretFile string // that the webhook's question is signed with; empty: it is not
	Approval   string // whose word it waits for, for people to read

	Window   time.Duration // for which it is watched; 0: one reading is enough
	Min, Max *Bound        // nil: none
	OnFail   OnFail
}

// Bound is a threshold.
type Bound struct {
	Value float64 // a share is a part of 1
	Times bool    // of what it was before
}

// String writes a bound as a file has it.
func (b Bound) String() string {
	n := strconv.FormatFloat(b.Value, 'g', -1, 64)
	if b.Times {
		return n + "x"
	}
	return n
}

// Prometheus is a query, which has to have one value.
type Prometheus struct{ URL, Query string }

// KernelFact is something that the data plane counts of each generation.
type KernelFact string

// The facts.
const (
	NewSessions      KernelFact = "new_sessions"      // their rate, of the whole service
	NeverEstablished KernelFact = "never_established" // share of sessions whose client never took a second step
	Resets           KernelFact = "resets"            // sessions that a RST ended, by session begun
	EarlyEnds        KernelFact = "early_ends"        // sessions that lasted seconds, by session begun
	SYNRetransmits   KernelFact = "syn_retransmits"   // SYNs sent again, by session begun
	Orphans          KernelFact = "orphans"           // share of sessions that came in mid-stream
)

// OnFail is what a failed gate leads to.
type OnFail string

// What a failed gate leads to.
const (
	FailRollback OnFail = "rollback"
	FailPause    OnFail = "pause"
	FailTell     OnFail = "tell"
)

// What holds for a gate that does not say it, and the most that it may say.
const (
	defaultGateWindow = 5 * time.Minute
	minGateWindow     = 5 * time.Second
	maxGateWindow     = 24 * time.Hour
	defaultMinNew     = 0.5 // times the rate before
	defaultMaxWorse   = 1.5 // times what it was before
	maxGates          = 16
	maxGateName       = 63
	maxQuery          = 4096
)

// gates reads the gates of a release.
func (v value) gates() []Gate {
	items, ok := v.list()
	if !ok {
		return nil
	}
	if len(items) > maxGates {
		v.fail("%d gates are more than %d", len(items), maxGates)
		return nil
	}
	names := map[string]value{}
	out := make([]Gate, len(items))
	for i, item := range items {
		out[i] = item.gate()
		first, twice := names[out[i].Name]
		switch {
		case out[i].Name == "":
		case twice:
			item.fail("gate %s is already %s on line %d: give one of them another name", out[i].Name, first.field, first.line)
		default:
			names[out[i].Name] = item
		}
	}
	return out
}

// gatesOf refuses gates of a release that mean nothing to its strategy.
func (v value) gatesOf(by Strategy, r Release) {
	if by != Rolling && by != InPlace || len(r.Gates) == 0 {
		return
	}
	items, _ := v.list()
	for i, g := range r.Gates {
		if why := g.misfit(by, len(r.Hooks["rollback"]) > 0); why != "" {
			items[i].fail("strategy %s: %s", by, why)
		}
	}
}

// misfit is why a gate means nothing to a strategy that changes the backends of the live generation; empty: it does.
func (g Gate) misfit(by Strategy, putsBack bool) string {
	times := g.Min != nil && g.Min.Times || g.Max != nil && g.Max.Times
	switch {
	case g.Kernel != "" && by == InPlace:
		return "its gates are watched before it opens, when there are no sessions to count: ask prometheus, a webhook, health or somebody's approval"
	case g.Kernel == NewSessions:
		return "there is no new generation whose sessions could be told from the old one's: new_sessions compares the two"
	case g.Kernel != "" && times:
		return fmt.Sprintf("there is no second generation to compare with: give %s a max that is a share, such as 2%%", g.Kernel)
	case g.OnFail == FailRollback && by == Rolling:
		return "what was changed under no session can't be changed back under those that came: on_fail is pause, which lets the batch rest, or tell"
	case g.OnFail == FailRollback && !putsBack:
		return "nothing would be taken back: give the release a hook of the name rollback, or on_fail: pause"
	}
	return ""
}

var gateKinds = []string{"kernel", "health", "prometheus", "webhook", "approval"}

func (v value) gate() Gate {
	g := Gate{OnFail: FailPause}
	fields, ok := v.mapping(append([]string{"name", "window", "min", "max", "on_fail"}, gateKinds...)...)
	if !ok {
		return g
	}
	kind, ok := fields.gateKind()
	if !ok {
		return g
	}
	kind.of(&g)
	if v, ok := fields.get("name"); ok {
		g.Name = v.gateName()
	}
	if v, ok := fields.get("window"); ok {
		g.Window = v.gateWindow(kind.name)
	}
	if v, ok := fields.get("on_fail"); ok {
		if g.OnFail, _ = oneOf(v, FailRollback, FailPause, FailTell); kind.name == "approval" {
			v.fail("an approval that is not given fails nothing: the release waits")
		}
	}
	fields.bounds(&g, kind)
	return g
}

// gateKind is what a gate asks.
type gateKind struct {
	name string
	at   value
}

// gateKind finds the one kind that a gate has.
func (m mapping) gateKind() (gateKind, bool) {
	var found []gateKind
	for _, name := range gateKinds {
		if v, ok := m.get(name); ok {
			found = append(found, gateKind{name, v})
		}
	}
	if len(found) != 1 {
		m.fail("want one of %s", strings.Join(gateKinds, ", "))
		return gateKind{}, false
	}
	return found[0], true
}

// of reads what a gate asks, and gives it the name and the window of its kind.
func (k gateKind) of(g *Gate) {
	g.Name, g.Window = k.name, defaultGateWindow
	switch k.name {
	case "kernel":
		g.Kernel, _ = oneOf(k.at, NewSessions, NeverEstablished, Resets, EarlyEnds, SYNRetransmits, Orphans)
		g.Name = string(g.Kernel)
	case "health":
		g.Health = k.at.share()
	case "prometheus":
		g.Prometheus = k.at.prometheus()
	case "webhook":
		hook := k.at.webhook()
		g.Webhook, g.SecretFile, g.Window = hook.URL, hook.SecretFile, 0
	case "approval":
		g.Approval, g.Window = k.at.gateName(), 0
		g.Name = cmp.Or(g.Approval, g.Name)
	}
}

// bounds reads min and max, each where it means something.
func (m mapping) bounds(g *Gate, kind gateKind) {
	said := false
	for _, name := range []string{"min", "max"} {
		v, ok := m.get(name)
		if !ok {
			continue
		}
		said = true
		b := v.bound(*g, kind.name, name)
		if name == "min" {
			g.Min = b
		} else {
			g.Max = b
		}
	}
	switch {
	case g.Min != nil && g.Max != nil && g.Min.Value > g.Max.Value:
		m.fail("min %s is more than max %s", g.Min, g.Max)
	case said:
	case g.Kernel == NewSessions:
		g.Min = &Bound{defaultMinNew, true}
	case g.Kernel != "":
		g.Max = &Bound{defaultMaxWorse, true}
	case kind.name == "prometheus":
		m.fail("want min or max: what the value of the query must be")
	}
}

// bound reads a threshold: a number of a query's value, a share or a multiple of what the kernel counts.
func (v value) bound(g Gate, kind, name string) *Bound {
	text, ok := v.text()
	switch {
	case !ok:
		return nil
	case kind == "prometheus":
		if n, ok := finite(text); ok {
			return &Bound{Value: n}
		}
		v.fail("want a number, got %s", quote(text))
	case kind != "kernel":
		v.fail("a gate of this kind has no %s", name)
	case name == "min" && g.Kernel != NewSessions:
		v.fail("few are no reason to stop: only new_sessions has a min")
	case strings.HasSuffix(text, "x"):
		if n, ok := finite(strings.TrimSuffix(text, "x")); ok && n > 0 && n <= 1000 {
			return &Bound{n, true}
		}
		v.fail("want a multiple of what it was before, such as 1.5x, got %s", quote(text))
	case g.Kernel == NewSessions:
		v.fail("want a multiple of the rate before, such as 0.5x, got %s", quote(text))
	default:
		return &Bound{Value: v.share()}
	}
	return nil
}

// share reads a share such as 2% or 0.5%, as a part of 1.
func (v value) share() float64 {
	text, ok := v.text()
	if !ok {
		return 0
	}
	n, isNumber := finite(strings.TrimSuffix(text, "%"))
	if !strings.HasSuffix(text, "%") || !isNumber || n <= 0 || n > 100 {
		v.fail("want a share over 0%% and up to 100%%, such as 2%%, got %s", quote(text))
		return 0
	}
	return n / 100
}

func finite(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func (v value) prometheus() (p Prometheus) {
	fields, ok := v.mapping("url", "query")
	if !ok {
		return p
	}
	if v, ok := fields.need("url"); ok {
		p.URL = v.webURL()
	}
	if v, ok := fields.need("query"); ok {
		if p.Query, ok = v.text(); ok && (strings.TrimSpace(p.Query) == "" || len(p.Query) > maxQuery) {
			v.fail("want a query of 1 to %d bytes", maxQuery)
		}
	}
	return p
}

// gateWindow reads for how long a gate is watched.
func (v value) gateWindow(kind string) time.Duration {
	d, ok := v.duration()
	switch {
	case !ok:
	case kind == "approval":
		v.fail("an approval has no window: it waits until it is given")
	case d < minGateWindow || d > maxGateWindow:
		v.fail("want %s to %s, got %s", short(minGateWindow), short(maxGateWindow), short(d))
	}
	return d
}

func (v value) gateName() string {
	name, ok := v.text()
	if !ok {
		return ""
	}
	if name == "" || len(name) > maxGateName || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }) {
		v.fail("a gate's name is 1 to %d of a-z, A-Z, 0-9, _ and -", maxGateName)
		return ""
	}
	return name
}
