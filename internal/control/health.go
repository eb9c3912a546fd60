package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/health"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// actHealth is a backend that has become well or sick.
const actHealth = "health"

// verdict is what is known of a backend's health.
type verdict struct {
	since time.Time
	sick  string // why; "": it is well
}

// wordOn is what somebody's word is about.
type wordOn struct{ service, backend string }

// healthIs is what the journal says of one.
type healthIs struct {
	Backend string `json:"backend"`
	Sick    string `json:"sick,omitempty"` // why; "": it is well
	Said    bool   `json:"said,omitempty"` // by somebody, of whom the file wants to hear it
}

// askHealth asks the backends in pools of services whose file says how, and lets those rest that are sick. The lock is held.
func (c *Controller) askHealth() (err error) {
	c.wantHealth()
	for service := range c.image.Services {
		err = errors.Join(err, c.rest(service))
	}
	return err
}

// wantHealth asks those that are to be asked, and forgets what is known of all others: an id is another backend's later.
func (c *Controller) wantHealth() {
	var targets []health.Target
	asked := map[uint16]bool{}
	for id, b := range c.image.Backends {
		h := c.healthOf(b.Service)
		if h == nil || b.Use == kernel.Removed {
			continue
		}
		asked[id] = true
		c.staysSick(id, h)
		if !h.External {
			targets = append(targets, health.Target{ID: id, Addrs: c.askedAt(b), Health: h})
		}
	}
	for id := range c.healths {
		if !asked[id] {
			delete(c.healths, id)
		}
	}
	for id := range c.rests.sick {
		if !asked[id] {
			delete(c.rests.sick, id)
		}
	}
	c.health.Want(targets)
}

// askedAt are the addresses at which a backend is asked: those of the families in which players come, or where players of IPv4
// travel in IPv6 the one that it has.
func (c *Controller) askedAt(b image.Backend) (out []netip.Addr) {
	families := c.image.Families(b.Service)
	var other []netip.Addr
	for _, f := range kernel.Families() {
		switch a := b.Addrs[f]; {
		case a.IsValid() && families[f]:
			out = append(out, a)
		case a.IsValid():
			other = append(other, a)
		}
	}
	if len(out) == 0 {
		return other
	}
	return out
}

// staysSick takes one that has no verdict yet for what it was: by the newest word on it, where others say it, or because it
// rests, and no release rests it, which is all that is known of one when the daemon starts.
func (c *Controller) staysSick(id uint16, h *config.Health) {
	b := c.image.Backends[id]
	if _, known := c.healths[id]; known || c.rests.sick[id] != "" {
		return
	}
	if h.External {
		if word, said := c.words[wordOn{c.image.Services[b.Service].Name, backendName(b)}]; said {
			c.verdictIs(id, word)
		}
		return
	}
	if turn, behind := c.turns(b.Service); b.Use == kernel.Resting && !turn[id] && behind[id] == "" {
		c.setSick(id, "it was when the daemon started")
	}
}

// recallWords finds in the journal what others have said of backends: it holds until they say otherwise, over a reboot too.
func (c *Controller) recallWords() error {
	c.words = map[wordOn]verdict{}
	_, err := c.opt.Journal.Read(0, func(e journal.Event) error {
		var is healthIs
		if e.Act != actHealth || json.Unmarshal(e.After, &is) != nil || !is.Said {
			return nil
		}
		c.words[wordOn{e.Service, is.Backend}] = verdict{e.Time, is.Sick}
		return nil
	})
	if errors.Is(err, journal.ErrTorn) {
		return nil
	}
	return err
}

// healthOf is how a service's backends are asked; nil: they are not.
func (c *Controller) healthOf(service uint16) *config.Health {
	if c.cfg == nil {
		return nil
	}
	s, _ := c.cfg.Service(c.image.Services[service].Name)
	return s.Health
}

// panicBelow is the share of healthy backends below which a service uses all.
func (c *Controller) panicBelow(service uint16) float64 {
	if h := c.healthOf(service); h != nil {
		return h.Panic
	}
	return 0
}

func (c *Controller) setSick(id uint16, why string) {
	if c.rests.sick == nil {
		c.rests.sick = map[uint16]string{}
	}
	if c.rests.sick[id] = why; why == "" {
		delete(c.rests.sick, id)
	}
}

func (c *Controller) verdictIs(id uint16, v verdict) {
	if c.healths == nil {
		c.healths = map[uint16]verdict{}
	}
	c.healths[id] = v
	c.setSick(id, v.sick)
}

// healthChanged takes a verdict: a sick backend gets no new sessions, and keeps those that it has.
func (c *Controller) healthChanged(t health.Target, sick error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, there := c.image.Backends[t.ID]
	if !there || c.gone || !slices.Equal(c.askedAt(b), t.Addrs) { // another one has its id by now
		return
	}
	if h := c.healthOf(b.Service); h == nil || h.External || !reflect.DeepEqual(h, t.Health) { // the file asks otherwise by now
		return
	}
	why := ""
	if sick != nil {
		why = sick.Error()
	}
	if err := c.noteHealth(context.Background(), "", t.ID, healthIs{Backend: backendName(b), Sick: why}); err != nil {
		c.log.Error("a backend's health", "backend", addresses(b), "sick", why, "err", err)
	}
}

// noteHealth journals a verdict and brings the tables to it. The first one of a backend that is well is no news.
func (c *Controller) noteHealth(ctx context.Context, reason string, id uint16, is healthIs) error {
	b := c.image.Backends[id]
	was, known := c.healths[id]
	news := is.Sick != was.sick || !known && (is.Sick != "" || c.rests.sick[id] != "")
	c.verdictIs(id, verdict{c.opt.Now(), is.Sick})
	if !news {
		c.changed()
		return nil
	}
	name := c.image.Services[b.Service].Name
	c.log.Info("health", "service", name, "backend", addresses(b), "sick", is.Sick)
	// The players come first: a journal that can't be written holds nothing up.
	c.tell(journal.Event{Actor: actorOf(ctx), Act: actHealth, Stage: journal.Note, Service: name, Reason: reason}, nil, is)
	c.changed()
	return c.rest(b.Service)
}

// Health takes somebody's word for a backend's health, of a service whose file leaves it to him.
func (c *Controller) Health(ctx context.Context, req api.HealthRequest) (api.Health, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.Health{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.Health{}, err
	}
	if h := c.healthOf(service); h == nil || !h.External {
		return api.Health{}, api.Errorf(api.Refused, "service %s: its file does not say `health: {external: true}`: nobody's word is asked for", req.Service)
	}
	why := ""
	if !req.Well {
		if why = req.Reason; why == "" {
			why = "somebody said so"
		}
	}
	found := false
	for id, b := range c.image.Backends {
		if b.Service != service || b.Use == kernel.Removed || !namesBackend(req.Backend, backendName(b)) {
			continue
		}
		found = true
		name := backendName(b)
		if err := c.noteHealth(ctx, req.Reason, id, healthIs{name, why, true}); err != nil {
			return api.Health{}, err
		}
		if c.words == nil {
			c.words = map[wordOn]verdict{}
		}
		c.words[wordOn{req.Service, name}] = c.healths[id]
	}
	if !found {
		return api.Health{}, api.Errorf(api.NotFound, "service %s: it has no backend %s", req.Service, req.Backend)
	}
	now := c.opt.Now()
	return api.Health{Well: req.Well, Since: &now, Sick: why}, nil
}

// namesBackend: by its whole name, or by one of its addresses.
func namesBackend(word, name string) bool {
	if word == name {
		return true
	}
	for _, a := range addressesIn([]string{name}) {
		if a == word {
			return true
		}
	}
	return false
}

// healthChecks look whether enough backends of a generation are well; those that nobody has asked yet are not. Where nobody asks,
// there is nothing to look at.
func (c *Controller) healthChecks(name string, service, g uint16) []release.Check {
	h := c.healthOf(service)
	if h == nil {
		return nil
	}
	var of, well int
	var why []string
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		if b.Use == kernel.Removed || b.Weight == 0 {
			continue
		}
		of++
		_, known := c.healths[id]
		_, fails := c.health.Last(id)
		switch sick := c.rests.sick[id]; {
		case sick != "":
			why = append(why, fmt.Sprintf("; %s is sick: %s", backendName(b), sick))
		case !known && !h.External && fails != nil:
			why = append(why, fmt.Sprintf("; %s does not answer its check: %s", backendName(b), fails))
		case !known && !h.External:
			why = append(why, fmt.Sprintf("; %s is not asked yet", backendName(b)))
		default:
			well++
		}
	}
	detail := fmt.Sprintf("%d of %d backends of generation %d are well", well, of, c.image.Generations[g].Number)
	if len(why) > 0 {
		detail += why[0] // one is enough to begin with
	}
	return []release.Check{{Name: name, OK: well > 0 && float64(well) >= h.Panic*float64(of), Detail: detail}}
}

// mostAsking bounds how long a verify waits for verdicts: new backends have theirs in seconds, unless their checks say otherwise.
const mostAsking = 10 * time.Second

// awaitVerdicts waits until no backend of a service is being asked for the first time: one that has answered each check, and
// not as often as a verdict takes.
func (c *Controller) awaitVerdicts(ctx context.Context, name string) {
	ctx, stop := context.WithTimeout(ctx, mostAsking)
	defer stop()
	for {
		c.mu.Lock()
		asking, change := c.asking(name), c.change
		c.mu.Unlock()
		if !asking {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-change:
		case <-time.After(releaseTick): // a check that failed changes nothing yet
		}
	}
}

// asking says whether a backend of a service is being asked for the first time.
func (c *Controller) asking(name string) bool {
	service, ok := c.image.ServiceNamed(name)
	if h := c.healthOf(service); !ok || h == nil || h.External {
		return false
	}
	for id, b := range c.image.Backends {
		if b.Service != service || b.Use == kernel.Removed || b.Weight == 0 || c.rests.sick[id] != "" {
			continue
		}
		if _, known := c.healths[id]; known {
			continue
		}
		if _, fails := c.health.Last(id); fails == nil {
			return true
		}
	}
	return false
}

// unwell says why a backend is not known to be well by a check that began after a time of releases; "" where it is, or where
// nobody asks. What was found before it was changed is not known of what it is now.
func (c *Controller) unwell(id uint16, since time.Time) string {
	h := c.healthOf(c.image.Backends[id].Service)
	if h == nil {
		return ""
	}
	if sick := c.rests.sick[id]; sick != "" {
		return "is sick: " + sick
	}
	if h.External {
		return ""
	}
	began, sick := c.health.Last(id)
	switch {
	case began.IsZero() || c.releases.epoch.Add(began.Sub(c.releases.epoch)).Before(since):
		c.health.Soon(id)
		return "has not been asked since"
	case sick != nil:
		return "does not answer its check: " + sick.Error()
	}
	return ""
}

// shownHealth is what status says; nil where nobody asks.
func (c *Controller) shownHealth(id uint16) *api.Health {
	b := c.image.Backends[id]
	if c.healthOf(b.Service) == nil || b.Use == kernel.Removed {
		return nil
	}
	out := &api.Health{Well: c.rests.sick[id] == "", Sick: c.rests.sick[id]}
	if v, known := c.healths[id]; known {
		out.Since = &v.since
	}
	return out
}
