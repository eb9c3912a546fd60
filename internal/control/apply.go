package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
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
		cfg, err := config.Load(c.opt.ConfigFile)
		return cfg, refusal(err)
	}
	cfg, err := config.Parse(req.Name, req.Config)
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
func (c *Controller) Reload(context.Context) (api.Plan, error) {
	c.reloading.Lock() // from the reading on: the last one to read is the last one to apply
	defer c.reloading.Unlock()
	cfg, err := config.Load(c.opt.ConfigFile)
	if err != nil {
		return api.Plan{}, refusal(err)
	}
	plan, err := c.apply(cfg)
	return plan, refusal(err)
}

func (c *Controller) build(cfg *config.Config) (*image.Image, []string, error) {
	return image.Build(image.Inputs{Config: cfg, State: c.state, Have: c.image, Ticks: c.plane.Ticks.Of, Now: c.opt.Now()})
}

// apply brings the kernel to what the configuration says. Whatever can be refused is refused before the first write.
func (c *Controller) apply(cfg *config.Config) (api.Plan, error) {
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
	if err := c.makeReady(cfg); err != nil {
		return api.Plan{}, err
	}
	if err := c.carryOut(cfg, want); err != nil {
		return api.Plan{}, err
	}
	if len(plan.Changes) > 0 {
		if err := c.markRetired(); err != nil {
			return api.Plan{}, err
		}
	}
	c.cfg = cfg
	c.watchDrains()
	c.changed()
	c.sweepSoon()
	for _, ch := range plan.Changes {
		c.log.Info("applied", "service", ch.Service, "what", ch.What)
	}
	return plan, nil
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
func (c *Controller) carryOut(cfg *config.Config, want *image.Image) error {
	if err := c.save(want); err != nil {
		return err
	}
	if err := c.write(want); err != nil {
		return err
	}
	c.hops.want(want, cfg.Interfaces)
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
	w := image.Writer{Tables: c.plane.Tables, Step: c.opt.Step}
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
		if l.Kind == kernel.Closed {
			out[socket.Addr] = true
		}
	}
	return out
}

// save writes the state file, when what it holds has changed. It comes before the act that it describes.
func (c *Controller) save(im *image.Image) error {
	next := stateOf(im, c.state)
	if equalState(next, c.state) {
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
	out := state.State{Revision: old.Revision, Salt: old.Salt, Services: map[string]state.Service{}}
	for index, s := range im.Services {
		rec := state.Service{NextGeneration: old.Services[s.Name].NextGeneration, Previous: old.Services[s.Name].Previous}
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
		if s.Steer.Previous != 0 {
			rec.Previous = im.Generations[s.Steer.Previous].Number
		}
		out.Services[s.Name] = rec
	}
	return out
}

func equalState(a, b state.State) bool {
	return maps.EqualFunc(a.Services, b.Services, func(x, y state.Service) bool {
		return x.Live == y.Live && x.Previous == y.Previous && x.NextGeneration == y.NextGeneration &&
			slices.Equal(x.Generations, y.Generations)
	})
}
