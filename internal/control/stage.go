package control

import (
	"context"
	"maps"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// load reads the daemon's file, with the pools that were staged beside it and still stand.
func (c *Controller) load() (*config.Config, error) {
	data, err := config.Read(c.opt.ConfigFile)
	if err != nil {
		return nil, err
	}
	return config.WithStaged(c.opt.ConfigFile, data, c.staged())
}

// staged are the pools of the state file.
func (c *Controller) staged() (out []config.Staged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.state.Services)) {
		for _, s := range c.state.Services[name].Staged {
			out = append(out, config.Staged{
				Service: name, Colour: config.Colour(s.Colour), Version: s.Version, Was: s.Was, Pool: []byte(s.Pool),
			})
		}
	}
	return out
}

// keepStaged leaves those out of a state that the configuration which is applied has no use for any more.
func keepStaged(next state.State, cfg *config.Config) {
	kept := map[string][]state.Staged{}
	for _, s := range cfg.Staged {
		kept[s.Service] = append(kept[s.Service], state.Staged{Colour: s.Colour.String(), Version: s.Version, Was: s.Was, Pool: string(s.Pool)})
	}
	for name, s := range next.Services {
		s.Staged = kept[name]
		next.Services[name] = s
	}
}

// Stage gives the idle colour of a service a pool. The file is applied with it, so it must have been applied before: nobody
// shall be surprised by what else was in it.
func (c *Controller) Stage(ctx context.Context, req api.StageRequest) (api.Staged, error) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	data, err := config.Read(c.opt.ConfigFile) // once: what somebody saves from now on is not applied
	if err != nil {
		return api.Staged{}, err
	}
	if err := c.isApplied(req.Service, data); err != nil {
		return api.Staged{}, err
	}
	staged, err := c.withPool(req, data)
	if err != nil {
		return api.Staged{}, err
	}
	cfg, err := config.WithStaged(c.opt.ConfigFile, data, staged)
	if err != nil {
		return api.Staged{}, refusal(err)
	}
	plan, err := c.apply(ctx, actStage, req.Act, cfg)
	if err != nil {
		return api.Staged{}, refusal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := api.Staged{Service: req.Service, Changes: plan.Changes}
	if service, ok := c.image.ServiceNamed(req.Service); ok {
		if g := c.image.Services[service].Steer.Candidate; g != 0 {
			out.Candidate = c.ref(g)
		}
	}
	return out, nil
}

// isApplied refuses a file with changes that were not applied.
func (c *Controller) isApplied(service string, data []byte) error {
	cfg, err := config.WithStaged(c.opt.ConfigFile, data, c.staged())
	if err == nil {
		err = c.checkRemote(cfg)
	}
	if err != nil {
		return refusal(err)
	}
	was, err := c.planOf(cfg)
	if err != nil {
		return err
	}
	if n := len(was.Changes); n > 0 {
		return api.Errorf(api.Refused, "service %s: the configuration file has %d changes that are not applied, such as: %s; reload first",
			service, n, was.Changes[0].What)
	}
	return nil
}

// withPool are the staged pools with the one that is asked for, on the colour that is idle.
func (c *Controller) withPool(req api.StageRequest, data []byte) ([]config.Staged, error) {
	plain, err := config.Parse(c.opt.ConfigFile, data)
	if err != nil {
		return nil, refusal(err)
	}
	file, ok := plain.Service(req.Service)
	if !ok {
		var names []string
		for _, s := range plain.Services {
			names = append(names, s.Name)
		}
		return nil, noneOf(names, req.Service)
	}
	for colour, p := range file.Pools {
		if p.Version == req.Version {
			return nil, api.Errorf(api.Refused, "service %s: version %s is %s in the configuration file: edit it there and reload", req.Service, req.Version, colour)
		}
	}
	idle, err := c.idleColour(req)
	if err != nil {
		return nil, err
	}
	staged := slices.DeleteFunc(c.staged(), func(s config.Staged) bool { return s.Service == req.Service && s.Colour == idle })
	return append(staged, config.Staged{
		Service: req.Service, Colour: idle, Version: req.Version, Was: file.Pools[idle].Version, Pool: req.Pool,
	}), nil
}

// idleColour is the one that is not live.
func (c *Controller) idleColour(req api.StageRequest) (config.Colour, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, err := c.service(req.Service)
	if err != nil {
		return "", err
	}
	live := c.image.Generations[c.image.Services[service].Steer.Live]
	if live.Version == req.Version {
		return "", api.Errorf(api.Refused, "service %s: version %s is live", req.Service, req.Version)
	}
	if live.Colour == kernel.NoColour {
		return "", api.Errorf(api.Refused, "service %s: nothing is live", req.Service)
	}
	return config.Colour(image.ColourName(live.Colour)).Other(), nil
}
