package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/disk"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// releasing is what the daemon holds of releases beside their records, which are in the state: nothing of it would be
// missed after kill -9.
type releasing struct {
	hook  func(ctx context.Context, r release.Record, h release.Hook) error // runs one to its end; nil: releaseHook does
	plan  func(s config.Service, p *release.Plan)                           // adds to what a release begins with; nil: nothing
	gates func(r release.Record) []release.Gate                             // their newest readings; nil: gatesOf has them

	counted time.Time                          // when the flows were last counted for a release's flip
	newest  map[string]uint32                  // number of each service's newest release in the journal, when the daemon started
	epoch   time.Time                          // when releases were first looked at, with the reading of a clock that nobody sets
	ctx     context.Context                    // of what runs in the background; nil until the loop runs
	works   sync.WaitGroup                     // what runs in the background
	running map[string]context.CancelCauseFunc // by hook's key, or by what is evicted
	watched map[string]*gateWatch              // by service and release
	probed  map[string]*candidateProbe         // by service and release
	checked map[release.Member][]release.Check // of a group's releases, for the others of it, in one look at all
	trouble map[string]trouble                 // of a service whose releases can't go on: the journal or the state file
}

// trouble is why nothing can be done now, and when that is tried again.
type trouble struct {
	why   string
	tries int
	next  time.Time
}

// How often releases are looked at while one is under way: their times are in seconds. Whatever the daemon changes or counts
// is looked at when it happens.
const releaseTick = time.Second

// mostReleases bounds those of a service that are kept when they are over.
const mostReleases = 20

// releaseLoop walks the releases on until the context ends, and waits for what it began.
func (c *Controller) releaseLoop(ctx context.Context) error {
	c.mu.Lock()
	c.releases.ctx = ctx
	c.releaseNow() // from here on whoever asks finds the epoch
	c.mu.Unlock()
	defer c.releases.works.Wait()
	for {
		c.mu.Lock()
		under := c.advanceAll()
		change := c.change
		c.mu.Unlock()
		var tick <-chan time.Time
		if under {
			tick = time.After(releaseTick)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		case <-tick:
		}
	}
}

// releaseNow is a clock that nobody sets while the daemon runs: a wall clock that jumps neither ends a bake nor brings a
// deadline on. A daemon that starts again begins with what the wall clock says then.
func (c *Controller) releaseNow() time.Time {
	now := c.opt.Now()
	if c.releases.epoch.IsZero() {
		c.releases.epoch = now
	}
	return c.releases.epoch.Add(now.Sub(c.releases.epoch)).UTC().Round(0)
}

// advanceAll walks each release on as far as it goes, and says whether one is under way. The lock is held.
func (c *Controller) advanceAll() (under bool) {
	if c.gone {
		return false
	}
	c.releases.checked = nil
	for _, name := range slices.Sorted(maps.Keys(c.state.Services)) {
		waits := c.releaseNow().Before(c.releases.trouble[name].next)
		for _, r := range c.state.Services[name].Releases {
			if waits {
				under = true
				break
			}
			if !r.State.Over() || len(r.Pending) > 0 {
				under = true
				c.advance(name, r.Number)
			}
		}
	}
	return under
}

// mostSteps bounds what one release does at once.
const mostSteps = 32

// advance makes the transitions of a release whose time has come, and does what is due in between.
func (c *Controller) advance(name string, number uint32) {
	for range mostSteps {
		r, ok := c.releaseOf(name, number)
		if !ok {
			return
		}
		next, t, _ := release.Step(r, release.Input{Event: release.Goes}, c.facts(r), c.releaseNow())
		moved, err := c.keep(context.Background(), r, next, t)
		if err != nil {
			c.inTrouble(name, err)
			return
		}
		acted, err := c.doDue(next)
		if err != nil {
			c.inTrouble(name, err)
			return
		}
		if !moved && !acted {
			return
		}
	}
}

// mostPatience bounds the pause between two tries to write: nobody has to wait long once the disk has room again, and a
// journal that can be written where the state file can't does not fill up with tries.
const mostPatience = 8 * time.Second

// inTrouble tells once of what keeps a service's releases from going on. It is tried again soon, and then more rarely.
func (c *Controller) inTrouble(name string, err error) {
	t := c.releases.trouble[name]
	if t.why != err.Error() {
		c.log.Error("a release can't go on", "service", name, "err", err)
		t = trouble{why: err.Error()}
	}
	t.next = c.releaseNow().Add(min(mostPatience, releaseTick<<t.tries))
	t.tries = min(t.tries+1, 10)
	if c.releases.trouble == nil {
		c.releases.trouble = map[string]trouble{}
	}
	c.releases.trouble[name] = t
	if t.tries == 1 {
		c.changed()
	}
}

// outOfTrouble says that something of a service's releases has gone on.
func (c *Controller) outOfTrouble(name string) { delete(c.releases.trouble, name) }

// keep saves a record that has changed, after its transition is in the journal, and says whether it has.
func (c *Controller) keep(ctx context.Context, was, is release.Record, t *release.Transition) (bool, error) {
	if t == nil && sameRelease(was, is) {
		return false, nil
	}
	err := c.keepAll(ctx, []change{{was, is, t}})
	return err == nil, err
}

// change is a record before and after a step.
type change struct {
	was, is release.Record
	made    *release.Transition
}

// keepAll saves records in one write: all of them, or none.
func (c *Controller) keepAll(ctx context.Context, changes []change) error {
	next := c.state
	for _, k := range changes {
		next = withRelease(next, k.is)
	}
	next.Revision = c.state.Revision + 1
	// The file first, as far as it takes room: what the journal has, the next daemon goes on from.
	if err := c.opt.Store.Prepare(next); err != nil {
		return err
	}
	noted := map[uint64]string{}
	for _, k := range changes {
		if k.made == nil {
			continue
		}
		seq, err := c.noteTransition(ctx, k.is, k.made)
		if err != nil {
			c.notMade(noted, err.Error())
			return errors.Join(err, c.opt.Store.Discard())
		}
		noted[seq] = k.is.Service
	}
	c.step("release: save")
	if err := c.opt.Store.Commit(); err != nil {
		c.notMade(noted, err.Error())
		return err
	}
	c.state = next
	for _, k := range changes {
		c.kept(k)
	}
	c.changed()
	return nil
}

// kept does what follows from a record that was saved.
func (c *Controller) kept(k change) {
	c.outOfTrouble(k.is.Service)
	if t := k.made; t != nil {
		c.log.Info("release", "service", k.is.Service, "release", k.is.Number, "from", t.From, "to", t.To, "why", t.Why)
		c.traceTransition(k.was, k.is, t)
	}
	c.stopHooks(k.was, k.is)
	c.stopAsking(k.is)
	c.stopEvicting(k.is)
	c.stopWatching(k.is)
}

// notMade tells the journal of transitions that it has and that were not made, by number with their services.
func (c *Controller) notMade(noted map[uint64]string, why string) {
	for _, seq := range slices.Sorted(maps.Keys(noted)) {
		c.tell(journal.Event{
			Actor: journal.Actor{Daemon: true}, Act: actRelease, Stage: journal.Failed, Of: seq, Service: noted[seq],
			Reason: "it was not made: " + why,
		}, nil, nil)
	}
}

// transitionIs is a transition as the journal has it.
type transitionIs struct {
	State   release.State  `json:"state"`
	On      release.Event  `json:"on,omitempty"`
	Release release.Record `json:"release"` // of the state after it
}

// noteTransition puts a transition into the journal, with all that a daemon has to know to go on from it.
func (c *Controller) noteTransition(ctx context.Context, r release.Record, t *release.Transition) (number uint64, err error) {
	c.step("release: journal")
	e, err := c.journal(journal.Event{
		Actor: actorOf(ctx), Act: actRelease, Stage: journal.Note, Service: r.Service, Reason: t.Why, Key: keyOf(ctx),
	}, transitionIs{State: t.From}, transitionIs{State: t.To, On: t.On, Release: r})
	if err != nil {
		return 0, err
	}
	hasBegun(ctx, e.Seq)
	return e.Seq, nil
}

// releaseOf finds a record.
func (c *Controller) releaseOf(name string, number uint32) (release.Record, bool) {
	for _, r := range c.state.Services[name].Releases {
		if r.Number == number {
			return r, true
		}
	}
	return release.Record{}, false
}

// withRelease is the state with a record: a new one, or in its place.
func withRelease(next state.State, r release.Record) state.State {
	next.Services = maps.Clone(next.Services)
	s := next.Services[r.Service]
	s.Releases = slices.Clone(s.Releases)
	at := slices.IndexFunc(s.Releases, func(old release.Record) bool { return old.Number == r.Number })
	if at < 0 {
		s.Releases = append(s.Releases, r)
		s.NextRelease = max(s.NextRelease, r.Number+1)
	} else {
		s.Releases[at] = r
	}
	s.Releases = lastReleases(s.Releases)
	if r.Stable && r.State == release.Draining {
		s.Stable = r.To.Number
	}
	next.Services[r.Service] = s
	return next
}

// lastReleases leaves those out that were over first, where there are too many.
func lastReleases(list []release.Record) []release.Record {
	over := 0
	for _, r := range list {
		if r.State.Over() {
			over++
		}
	}
	return slices.DeleteFunc(list, func(r release.Record) bool {
		if r.State.Over() && over > mostReleases {
			over--
			return true
		}
		return false
	})
}

// sameRelease compares what would be written.
func sameRelease(a, b release.Record) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// noted is a record as the journal has it.
type noted struct {
	seq    uint64
	record release.Record
}

// newestNoted are the records of the newest transitions in the journal, by service and number, but for those that were not made.
func (c *Controller) newestNoted() (map[string]map[uint32][]noted, error) {
	all := map[string]map[uint32][]noted{}
	_, err := c.opt.Journal.Read(0, func(e journal.Event) error {
		switch {
		case e.Act != actRelease:
		case e.Stage == journal.Failed:
			for number, list := range all[e.Service] {
				all[e.Service][number] = slices.DeleteFunc(list, func(n noted) bool { return n.seq == e.Of })
			}
		case e.Stage == journal.Note:
			var t transitionIs
			if err := json.Unmarshal(e.After, &t); err != nil {
				return nil // of another version: the state file has it
			}
			if all[e.Service] == nil {
				all[e.Service] = map[uint32][]noted{}
			}
			list := all[e.Service][t.Release.Number]
			if n := len(list); n > 1 { // one that was not made is the last one
				list = slices.Delete(list, 0, n-1)
			}
			all[e.Service][t.Release.Number] = append(list, noted{e.Seq, t.Release})
		}
		return nil
	})
	if errors.Is(err, journal.ErrTorn) {
		err = nil
	}
	return all, err
}

// resumeReleases goes on where the journal is ahead of the state file: a daemon was killed between the two, or before the
// reboot. What the kernel was told meanwhile, the facts will show.
func (c *Controller) resumeReleases() error {
	newest, err := c.newestNoted()
	if err != nil {
		return err
	}
	c.releases.newest = map[string]uint32{}
	for name, numbers := range newest {
		c.releases.newest[name] = slices.Max(slices.Collect(maps.Keys(numbers)))
	}
	for name, service := range c.state.Services {
		for number, list := range newest[name] {
			if len(list) == 0 {
				continue
			}
			r := list[len(list)-1].record
			have, known := c.releaseOf(name, number)
			// Of one that the file does not know only the very beginning can be missing there: the others are of a service that
			// was gone meanwhile, or of another state file.
			if known && have.Turn >= r.Turn || !known && (number < service.NextRelease || r.Turn != 1) {
				continue
			}
			if !known && !c.groupIsWhole(r, newest) {
				c.notMade(map[uint64]string{list[len(list)-1].seq: name}, "a crash cut the beginning of its group's releases short")
				continue
			}
			c.log.Info("a crash had cut a release's transition short", "service", name, "release", number, "state", r.State)
			c.step("release: save")
			next := withRelease(c.state, r)
			err := c.saveState(next)
			if disk.Is(err) { // the journal has it: it goes into the file with the next change
				c.log.Error("a release's transition is in the journal only", "service", name, "release", number, "err", err)
				c.state, err = next, nil
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// keepsReleases refuses a file that would take a generation out of its slot which a release needs.
func (c *Controller) keepsReleases(want *image.Image) error {
	for name, s := range c.state.Services {
		for _, r := range s.Releases {
			for _, number := range []uint32{r.From.Number, r.To.Number} {
				if !inSlot(c.image, name, number) || inSlot(want, name, number) {
					continue
				}
				if err := release.MayStage([]release.Record{r}, number); err != nil {
					return api.Errorf(api.Refused, "service %s: %s", name, err)
				}
			}
		}
	}
	return nil
}

// inSlot says whether a generation of a service holds a colour.
func inSlot(im *image.Image, name string, number uint32) bool {
	service, ok := im.ServiceNamed(name)
	if !ok {
		return false
	}
	for _, g := range im.GenerationsOf(service) {
		if rec := im.Generations[g]; rec.Number == number {
			return rec.Colour != kernel.NoColour
		}
	}
	return false
}
