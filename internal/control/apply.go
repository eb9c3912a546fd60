package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/loader/vip"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Plan says what a reload would change.
func (c *Controller) Plan(_ context.Context, req api.PlanRequest) (api.Plan, error) {
	cfg, err := c.parse(req)
	if err != nil {
		return api.Plan{}, err
	}
	return c.planOf(cfg)
}

func (c *Controller) planOf(cfg *config.Config) (api.Plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	want, notes, err := c.build(cfg)
	if err != nil {
		return api.Plan{}, refusal(err)
	}
	return c.plan(cfg, want, notes)
}

func (c *Controller) parse(req api.PlanRequest) (*config.Config, error) {
	if len(req.Config) == 0 {
		cfg, err := c.load()
		if err == nil {
			err = c.checkRemote(cfg)
		}
		return cfg, refusal(err)
	}
	cfg, err := config.WithStaged(req.Name, req.Config, c.staged())
	return cfg, refusal(err)
}

// refusal makes the mistakes of a file, and an interface that is somebody else's, what they are to a client: a refusal,
// not a failure.
func refusal(err error) error {
	if mistakes := (config.Errors)(nil); errors.As(err, &mistakes) || errors.Is(err, loader.ErrForeignProgram) {
		return api.Errorf(api.Refused, "%s", err.Error())
	}
	return err
}

// Reload reads the daemon's file again and applies it, whole or not at all.
func (c *Controller) Reload(ctx context.Context, req api.ReloadRequest) (api.Plan, error) {
	c.reloading.Lock() // from the reading on: the last one to read is the last one to apply
	defer c.reloading.Unlock()
	cfg, err := c.load()
	if err != nil {
		return api.Plan{}, refusal(err)
	}
	plan, err := c.apply(ctx, actReload, req.Act, cfg)
	debug.FreeOSMemory() // what a large file took to be read
	return plan, refusal(err)
}

func (c *Controller) build(cfg *config.Config) (*image.Image, []string, error) {
	return image.Build(image.Inputs{Config: cfg, State: c.state, Have: c.image, Ticks: c.plane.Ticks.Of, Now: c.opt.Now()})
}

// apply brings the kernel to what the configuration says. Whatever can be refused is refused before the first write.
func (c *Controller) apply(ctx context.Context, what string, a api.Act, cfg *config.Config) (api.Plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.Plan{}, err
	}
	want, notes, err := c.build(cfg)
	if err != nil {
		return api.Plan{}, err
	}
	plan, err := c.plan(cfg, want, notes)
	if err != nil {
		return api.Plan{}, err
	}
	set, err := c.settingsOf(cfg)
	if err != nil {
		return api.Plan{}, err
	}
	if err := c.unlocked(ctx, a, servicesOf(plan)...); err != nil {
		return api.Plan{}, err
	}
	if err := c.keepsReleases(want); err != nil {
		return api.Plan{}, err
	}
	door, err := c.prepareRemote(cfg)
	if err != nil {
		return api.Plan{}, err
	}
	defer door.Cancel()
	if len(plan.Changes) > 0 {
		if err := c.hasRoom(want, cfg, plan); err != nil {
			return api.Plan{}, err
		}
	}
	if err := c.makeReady(cfg); err != nil {
		return api.Plan{}, err
	}
	if err := c.journaledApply(ctx, what, a.Reason, plan, func() error { return c.carryOut(cfg, want, set) }); err != nil {
		return api.Plan{}, err
	}
	if len(plan.Changes) > 0 {
		if err := c.markRetired(); err != nil {
			return api.Plan{}, err
		}
	}
	c.cfg = cfg
	door.Commit()
	c.watchDrains()
	err = c.askOccupancy()
	for index := range c.image.Services { // what becomes of a lost backend's sessions may be another thing now
		c.looks.at(index)
	}
	if err := errors.Join(err, c.askHealth()); err != nil { // what the file asks is asked, though somebody could not rest yet
		return api.Plan{}, err
	}
	c.changed()
	c.sweepSoon()
	for _, ch := range plan.Changes {
		c.log.Info("applied", "service", ch.Service, "what", ch.What)
	}
	return plan, nil
}

// journaledApply is the carrying out of a plan between its two events. One that changes nothing has none.
func (c *Controller) journaledApply(ctx context.Context, what, reason string, plan api.Plan, carryOut func() error) error {
	if len(plan.Changes) == 0 {
		return carryOut()
	}
	a, err := c.begin(ctx, what, "", reason, fileIs{Revision: c.state.Revision}, changesOf(plan))
	if err != nil {
		return err
	}
	err = carryOut()
	a.end(fileIs{Revision: c.state.Revision}, err)
	return err
}

// eventRoom is over what an event takes besides the changes that it tells.
const eventRoom = 4 << 10

// hasRoom looks whether a plan can be written down, before the program is replaced or an interface is taken on for it.
func (c *Controller) hasRoom(want *image.Image, cfg *config.Config, plan api.Plan) error {
	changes, err := raw(changesOf(plan))
	if err == nil {
		err = c.opt.Journal.Room(2*len(changes) + eventRoom)
	}
	if err == nil {
		err = c.opt.Store.Prepare(c.withFile(want, cfg))
	}
	if err == nil {
		err = c.opt.Store.Discard()
	}
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	return nil
}

// makeReady does what may be refused, by the sessions that are there or by the host.
func (c *Controller) makeReady(cfg *config.Config) error {
	if err := c.mayLeave(cfg); err != nil {
		return err
	}
	if err := c.fits(cfg.MaxFlows); err != nil {
		return err
	}
	if err := c.attach(cfg); err != nil {
		return err
	}
	return c.upgrade(cfg)
}

// carryOut brings the maps, and then the host's own interfaces, to what is wanted.
func (c *Controller) carryOut(cfg *config.Config, want *image.Image, set settings) error {
	if err := c.saveFile(want, cfg); err != nil {
		return err
	}
	c.setSettings(set)
	if err := c.write(want); err != nil {
		return err
	}
	c.hops.want(want, cfg.Interfaces)
	c.hops.lose(want)
	if err := c.vips(cfg); err != nil { // before an interface is given up: the kernel would answer the players itself
		return err
	}
	return c.detachOthers(cfg)
}

// upgrade replaces the program in the kernel when it is not this build's, or its tables have another size.
func (c *Controller) upgrade(cfg *config.Config) error {
	if !c.plane.Outdated(cfg.MaxFlows) {
		return nil
	}
	c.log.Info("upgrading the data plane", "max_flows", cfg.MaxFlows)
	c.replaceTraced()
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	err := c.hops.while(func() error { return c.plane.Upgrade(cfg.MaxFlows, c.opt.Step) })
	if err != nil {
		return fmt.Errorf("upgrade the data plane: %w", err)
	}
	return nil
}

// fits refuses tables that the flows of the moment would not find room in.
func (c *Controller) fits(maxFlows uint32) error {
	if maxFlows >= c.plane.MaxFlows() || c.plane.Importing() != "" {
		return nil
	}
	now, err := c.pass()
	if err != nil {
		return err
	}
	for _, f := range kernel.Families() {
		if used := now.Tables[f].Used; used > uint64(maxFlows) {
			return api.Errorf(api.Refused, "max_flows %d: the %s table holds %d flows now; choose a larger one, or wait", maxFlows, familyName(f), used)
		}
	}
	return nil
}

// write writes an image and remembers it.
func (c *Controller) write(want *image.Image) error {
	if err := c.fails("write"); err != nil {
		return err
	}
	now, err := c.plane.Now()
	if err != nil {
		return err
	}
	w := image.Writer{Tables: c.plane.Tables, Now: now, Step: c.opt.Step}
	if err := w.Write(c.image, want); err != nil {
		// Some of it may be written: what the kernel has now is read, not guessed.
		have, readErr := image.Read(c.plane.Tables)
		if readErr == nil {
			c.image = have
		}
		return errors.Join(err, readErr)
	}
	c.image = want
	return nil
}

// vips puts the VIPs on the first interface, so that the kernel answers for them, and takes ours away that are no longer
// wanted. The program runs there already, so the kernel never answers a player itself.
func (c *Controller) vips(cfg *config.Config) error {
	keep := c.addressesInUse()
	first := cfg.Interfaces[0]
	if cfg.VIPAddresses == config.VIPAddressesHost {
		for _, s := range cfg.Services {
			if s.Name == shadowName { // nobody but the probe net comes to it
				continue
			}
			for _, l := range s.Listeners {
				keep[l.VIP] = true
			}
		}
		if err := vip.Ensure(first, slices.SortedFunc(maps.Keys(keep), netip.Addr.Compare)); err != nil {
			return err
		}
	}
	return vip.Keep(first, slices.Collect(maps.Keys(keep)))
}

// addressesInUse: a closed listener keeps its flows, so its VIP stays too.
func (c *Controller) addressesInUse() map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	if c.cfg != nil && c.cfg.VIPAddresses == config.VIPAddressesNone {
		return out
	}
	for socket, l := range c.image.Listeners {
		if l.Kind == kernel.Closed && !probe.ShadowNet.Contains(socket.Addr) {
			out[socket.Addr] = true
		}
	}
	return out
}

// save writes the state file, when what it holds has changed. It comes before the act that it describes.
func (c *Controller) save(im *image.Image) error {
	next := stateOf(im, c.state)
	return c.saveState(next)
}

// saveFile is save with what a configuration that is being applied says.
func (c *Controller) saveFile(im *image.Image, cfg *config.Config) error {
	if err := c.saveState(c.withFile(im, cfg)); err != nil {
		return err
	}
	c.setCalendar()
	return nil
}

// withFile is the state with an image and what its configuration says.
func (c *Controller) withFile(im *image.Image, cfg *config.Config) state.State {
	next := stateOf(im, c.state)
	next.Freeze = freezesOf(cfg)
	setGroups(next.Services, cfg)
	keepStaged(next, cfg)
	return next
}

// saveState writes a state, when it is another one.
func (c *Controller) saveState(next state.State) error {
	if next.Same(c.state) {
		return nil
	}
	next.Revision = c.state.Revision + 1
	if err := c.opt.Store.Save(next); err != nil {
		return err
	}
	c.state = next
	return nil
}

// stateOf is what has to outlive a reboot of an image.
func stateOf(im *image.Image, old state.State) state.State {
	out := old
	out.Services = map[string]state.Service{}
	testers := im.TestersBy(kernel.FromOperator)
	for index, s := range im.Services {
		rec := state.Service{
			NextGeneration: old.Services[s.Name].NextGeneration, Previous: old.Services[s.Name].Previous,
			Testers: testers[index], Lock: old.Services[s.Name].Lock, Closed: closedOf(s), Group: old.Services[s.Name].Group,
			Releases: old.Services[s.Name].Releases, NextRelease: old.Services[s.Name].NextRelease, Stable: old.Services[s.Name].Stable,
			Staged: old.Services[s.Name].Staged,
		}
		for _, g := range im.GenerationsOf(index) {
			gen := im.Generations[g]
			rec.Generations = append(rec.Generations, state.Generation{
				Number: gen.Number, Colour: image.ColourName(gen.Colour), Version: gen.Version,
			})
			rec.NextGeneration = max(rec.NextGeneration, gen.Number+1)
		}
		if s.Steer.Live == 0 { // it left the file: should it come back, its colour is the one that was live
			rec.Live, rec.Generations = old.Services[s.Name].Live, old.Services[s.Name].Generations
			out.Services[s.Name] = rec
			continue
		}
		rec.Live = im.Generations[s.Steer.Live].Number
		rec.Share = shareOf(im, s, old.Services[s.Name].Share)
		if s.Steer.Previous != 0 {
			rec.Previous = im.Generations[s.Steer.Previous].Number
		}
		out.Services[s.Name] = rec
	}
	for name, rec := range old.Services { // one that is gone may come back: its numbers are not given again
		if _, there := out.Services[name]; !there && name != shadowName {
			out.Services[name] = state.Service{NextGeneration: rec.NextGeneration, NextRelease: rec.NextRelease}
		}
	}
	return out
}
