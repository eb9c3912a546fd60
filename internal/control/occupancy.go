package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/occupancy"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// actFull is a backend that is full, or takes sessions again.
const actFull = "full"

// fullIs is what the journal says of one.
type fullIs struct {
	Backend string `json:"backend"`
	Full    string `json:"full,omitempty"` // why; "": it takes sessions
}

// occupied is what a backend said of itself.
type occupied struct {
	occupancy.Reading
	at  time.Time // when it said so, or from when on it is waited for
	has bool      // there is a reading, and it counts
	err string    // why the newest question has no answer
	of  netip.Addr
}

// errNotAsked is of backends that somebody else tells of.
var errNotAsked = errors.New("nobody is asked")

func newPoller(heard func(occupancy.Target, occupancy.Reading, error)) *occupancy.Poller {
	client := occupancy.Client()
	return &occupancy.Poller{Heard: heard, Ask: func(ctx context.Context, t occupancy.Target) (occupancy.Reading, error) {
		if t.URL == "" {
			return occupancy.Reading{}, errNotAsked
		}
		return ask(ctx, client, t)
	}}
}

func ask(ctx context.Context, client *http.Client, t occupancy.Target) (occupancy.Reading, error) {
	r, err := occupancy.Ask(ctx, client, t.URL, t.Names)
	if errors.Is(err, context.DeadlineExceeded) {
		return r, fmt.Errorf("no answer in %s", t.Timeout)
	}
	return r, err
}

// pollOccupancy runs until the context ends.
func (c *Controller) pollOccupancy(ctx context.Context) error {
	c.poller.Run(ctx)
	return ctx.Err()
}

// askOccupancy asks the backends in the pools of those services whose file says so, and forgets what all others said. The
// lock is held.
func (c *Controller) askOccupancy() (err error) {
	var targets []occupancy.Target
	due := map[uint16]bool{} // services
	asked := map[uint16]bool{}
	for id, b := range c.image.Backends {
		o := c.occupancyOf(b.Service)
		if o == nil || b.Use == kernel.Removed {
			continue
		}
		asked[id], due[b.Service] = true, true
		c.staysFull(id)
		targets = append(targets, targetOf(id, b, *o))
	}
	for id := range c.occupied {
		if asked[id] {
			continue
		}
		delete(c.occupied, id)
		delete(c.rests.full, id)
		if b, there := c.image.Backends[id]; there {
			due[b.Service] = true
		}
	}
	c.poller.Want(targets)
	for service := range due {
		err = errors.Join(err, c.rest(service))
	}
	return err
}

func targetOf(id uint16, b image.Backend, o config.Occupancy) occupancy.Target {
	t := occupancy.Target{ID: id, Names: occupancy.Names{Players: o.Players, Free: o.Free}, Every: o.Every, Timeout: o.Timeout}
	if !o.External {
		t.URL = o.URL(firstAddress(b))
	}
	return t
}

func firstAddress(b image.Backend) netip.Addr {
	if b.Addrs[kernel.IPv4].IsValid() {
		return b.Addrs[kernel.IPv4]
	}
	return b.Addrs[kernel.IPv6]
}

// occupancyOf is how a service's backends tell their occupancy; nil: they don't.
func (c *Controller) occupancyOf(service uint16) *config.Occupancy {
	if c.cfg == nil {
		return nil
	}
	s, _ := c.cfg.Service(c.image.Services[service].Name)
	return s.Occupancy
}

// staysFull takes one that has told nothing yet for what it was. That it rested, and no release rests it, is all that is known
// of one when the daemon starts.
func (c *Controller) staysFull(id uint16) {
	b := c.image.Backends[id]
	if was, known := c.occupied[id]; known && was.of == firstAddress(b) {
		return
	}
	delete(c.rests.full, id) // of one that had the id before
	c.occupied[id] = occupied{at: c.opt.Now(), of: firstAddress(b)}
	if turn, behind := c.turns(b.Service); b.Use == kernel.Resting && !turn[id] && behind[id] == "" && c.rests.sick[id] == "" {
		c.rests.full[id] = "it was when the daemon started"
	}
}

// heardOccupancy takes in what a backend answered.
func (c *Controller) heardOccupancy(t occupancy.Target, r occupancy.Reading, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, there := c.image.Backends[t.ID]
	o := c.occupancyOf(b.Service)
	if !there || c.gone || o == nil || targetOf(t.ID, b, *o) != t {
		return // it is another one by now
	}
	if err == nil {
		err = c.noteOccupancy(context.Background(), t.ID, r)
	} else {
		err = c.noAnswer(t, err)
	}
	if err != nil {
		c.log.Error("take in a backend's occupancy", "backend", addresses(b), "err", err)
	}
}

// noAnswer keeps what was said last, for a while. Then it counts no more: a backend is not full for ever since nobody asks it.
func (c *Controller) noAnswer(t occupancy.Target, err error) error {
	is := c.occupied[t.ID]
	if !errors.Is(err, errNotAsked) {
		is.err = err.Error()
	}
	void := c.opt.Now().Sub(is.at) > config.OccupancyVoid*t.Every
	is.has = is.has && !void
	c.occupied[t.ID] = is
	c.changed()
	if void {
		return c.setFull(context.Background(), t.ID, "")
	}
	return nil
}

// noteOccupancy keeps a reading. One that is full gets no new sessions from then on.
func (c *Controller) noteOccupancy(ctx context.Context, id uint16, r occupancy.Reading) error {
	c.occupied[id] = occupied{Reading: r, at: c.opt.Now(), has: true, of: firstAddress(c.image.Backends[id])}
	c.changed()
	if r.Full() {
		return c.setFull(ctx, id, fmt.Sprintf("it holds %d players and takes no more", r.Players))
	}
	return c.setFull(ctx, id, "")
}

// setFull journals when a backend becomes full, and when it is so no more, and brings the tables to it.
func (c *Controller) setFull(ctx context.Context, id uint16, why string) error {
	was := c.rests.full[id]
	if c.rests.full[id] = why; why == "" {
		delete(c.rests.full, id)
	}
	if (was == "") == (why == "") {
		return nil
	}
	b := c.image.Backends[id]
	name := c.image.Services[b.Service].Name
	// The players come first: a journal that can't be written holds nothing up.
	c.tell(journal.Event{
		Actor: actorOf(ctx), Act: actFull, Stage: journal.Note, Service: name, Reason: why,
	}, fullIs{backendName(b), was}, fullIs{backendName(b), why})
	return c.rest(b.Service)
}

// Occupancy takes somebody's word for how many players a backend holds.
func (c *Controller) Occupancy(ctx context.Context, req api.OccupancyRequest) (api.Occupancy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.Occupancy{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.Occupancy{}, err
	}
	if o := c.occupancyOf(service); o == nil || !o.External {
		return api.Occupancy{}, api.Errorf(api.Refused, "service %s: its backends are asked, or not at all: where the file has `occupancy: {external: true}` somebody else may tell", req.Service)
	}
	ids := c.backendsNamed(service, req.Backend)
	if len(ids) == 0 {
		return api.Occupancy{}, api.Errorf(api.NotFound, "service %s: none of its pools has a backend %s", req.Service, req.Backend)
	}
	for _, id := range ids { // a machine may be in both pools
		if err := c.noteOccupancy(ctx, id, occupancy.Reading{Players: req.Players, Free: req.Free}); err != nil {
			return api.Occupancy{}, err
		}
	}
	return *c.shownOccupancy(ids[0]), nil
}

// backendsNamed are those in a service's pools that have a name, or an address of it.
func (c *Controller) backendsNamed(service uint16, word string) (ids []uint16) {
	for id, b := range c.image.Backends {
		if b.Service != service || b.Use == kernel.Removed {
			continue
		}
		if name := backendName(b); name == word || slices.Contains(addressesIn([]string{name}), word) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// shownOccupancy is what status says; nil where backends tell nothing.
func (c *Controller) shownOccupancy(id uint16) *api.Occupancy {
	is, asked := c.occupied[id]
	if !asked {
		return nil
	}
	n := c.last.Sessions[id]
	out := &api.Occupancy{
		Sessions: uint64(n[kernel.HalfOpen]) + uint64(n[kernel.Young]) + uint64(n[kernel.Established]),
		Full:     c.rests.full[id], Error: is.err,
	}
	if is.has {
		players := is.Players
		difference := int64(players) - int64(out.Sessions)
		out.Players, out.Free, out.At, out.Difference = &players, is.Free, &is.at, &difference
	}
	return out
}
