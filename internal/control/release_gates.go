package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/ebbtide/ebbtide/internal/gate"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// gateWatch is the gates of a release, watched while it is in a state or step.
type gateWatch struct {
	release uint32
	state   release.State
	step    int
	marks   gateMarks
	runner  *gate.Runner
	stop    context.CancelFunc
}

func watchName(r release.Record) string { return fmt.Sprintf("gates %s %d", r.Service, r.Number) }

// watches says whether gates are watched where a release stands.
func watches(r release.Record) bool {
	switch r.State {
	case release.Stepping, release.Baking:
		return len(r.Plan.Gates) > 0
	case release.Migrating:
		return len(r.Plan.Gates) > 0 && (r.Plan.Strategy == release.Session || r.Plan.Strategy == release.Canary)
	}
	return false
}

// newGateClient asks Prometheus and webhooks. It follows no redirect and asks no proxy, and keeps no connection: nobody closes
// what is idle when a watch ends.
func newGateClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// watchGates begins to watch the gates of a release, unless that is done.
func (c *Controller) watchGates(r release.Record) {
	if c.releases.gates != nil || c.releases.ctx == nil || !watches(r) || c.releases.watched[watchName(r)] != nil {
		return
	}
	service, ok := c.image.ServiceNamed(r.Service)
	from, to := c.generationNumbered(service, r.From.Number), c.generationNumbered(service, r.To.Number)
	if !ok || from == 0 || to == 0 {
		return
	}
	w := &gateWatch{release: r.Number, state: r.State, step: r.Step}
	if err := w.marks.begin(c, from, to); err != nil {
		c.inTrouble(r.Service, err)
		return
	}
	c.outOfTrouble(r.Service)
	began := r.Since
	if r.Resumed > 0 { // who resumes asks what it is like from now on
		began = c.releaseNow()
	}
	w.runner = &gate.Runner{
		Gates: r.Plan.Gates,
		Facts: func(context.Context) (gate.Facts, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.gateFacts(w, r.Service, r.Number)
		},
		Client: newGateClient(),
		Now:    c.releaseNow,
		Began:  began,
		Told:   func(reading gate.Reading) { c.toldByGate(w, r, reading) },
	}
	w.runner.Prepare()
	ctx, stop := context.WithCancel(c.releases.ctx)
	w.stop = stop
	if c.releases.watched == nil {
		c.releases.watched, c.gates.newest = map[string]*gateWatch{}, map[string]*gateWatch{}
	}
	c.gates.newest[r.Service] = w
	c.releases.watched[watchName(r)] = w
	c.releases.works.Go(func() { w.runner.Run(ctx) })
}

// stopWatching ends the watch of a state or step that a release has left.
func (c *Controller) stopWatching(r release.Record) {
	w := c.releases.watched[watchName(r)]
	if w == nil || w.state == r.State && w.step == r.Step {
		return
	}
	w.stop()
	delete(c.releases.watched, watchName(r))
}

// gatesOf are the newest readings of a release's gates.
func (c *Controller) gatesOf(r release.Record) (out []release.Gate) {
	if c.releases.gates != nil {
		return c.releases.gates(r)
	}
	w := c.releases.watched[watchName(r)]
	if w == nil {
		return nil
	}
	for i, reading := range w.runner.Readings() {
		detail := reading.Detail
		if reading.Threshold != "" {
			detail += " (" + reading.Threshold + ")"
		}
		out = append(out, release.Gate{
			Name: reading.Gate, Verdict: release.Verdict(reading.Verdict), OnFail: release.Policy(reading.OnFail), Detail: detail,
			Approval: r.Plan.Gates[i].Approval != "",
		})
	}
	return out
}

// gateFacts is what gates are told of a release. The lock is held.
func (c *Controller) gateFacts(w *gateWatch, name string, number uint32) (gate.Facts, error) {
	r, ok := c.releaseOf(name, number)
	if !ok {
		return gate.Facts{}, fmt.Errorf("release %d is over", number)
	}
	f := gate.Facts{
		Service: name, Release: strconv.FormatUint(uint64(number), 10), From: r.From.Number, To: r.To.Number, Approved: map[string]string{},
	}
	for _, a := range r.Approved {
		if r.ApprovedNow(a.Gate) {
			f.Approved[a.Gate] = a.By
		}
	}
	service, ok := c.image.ServiceNamed(name)
	if !ok {
		return f, nil
	}
	from, to := c.generationNumbered(service, r.From.Number), c.generationNumbered(service, r.To.Number)
	families := c.image.Families(service)
	for _, fam := range kernel.Families() {
		if !families[fam] {
			continue
		}
		usable, of := c.usableChanged(to, fam, r)
		if r.Plan.Strategy.Flips() {
			usable, of, _ = c.usableBackends(to, fam)
		}
		f.Usable, f.Backends = f.Usable+usable, f.Backends+of
	}
	return f, w.marks.count(c, &f, from, to)
}

// usableChanged counts the backends that a release has changed, and those of them that could take a session, whether they are
// let or not.
func (c *Controller) usableChanged(g uint16, f kernel.Family, r release.Record) (usable, of int) {
	changed := r.Changed()
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		if b.Use == kernel.Removed || !b.Addrs[f].IsValid() || !slices.Contains(changed, backendName(b)) {
			continue
		}
		of++
		if _, resolved := c.plane.Tables.Hop(f, id); resolved && b.Weight > 0 && c.rests.sick[id] == "" {
			usable++
		}
	}
	return usable, of
}
