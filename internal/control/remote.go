package control

import (
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/remote"
)

// prepareRemote reads the files of the remote API and takes its address. What is wrong with them is a mistake of the file.
func (c *Controller) prepareRemote(cfg *config.Config) (*remote.Prepared, error) {
	if c.opt.Remote == nil {
		return new(remote.Prepared), nil
	}
	p, err := c.opt.Remote.Prepare(cfg.API)
	if err != nil {
		return nil, api.Errorf(api.Refused, "%s: %v", c.opt.ConfigFile, err)
	}
	return p, nil
}

// planRemote says what a reload changes of the remote API. A start changes nothing: the file is what the daemon knows of it.
func (c *Controller) planRemote(cfg *config.Config, d *describer) {
	if c.cfg == nil {
		return
	}
	for _, change := range remote.Changes(c.cfg.API, cfg.API) {
		d.add("", "%s", change)
	}
}

// checkRemote says whether the files of the remote API are good. It is for the daemon's own configuration only: who sends
// another one would learn what files there are.
func (c *Controller) checkRemote(cfg *config.Config) error {
	if cfg.API == nil {
		return nil
	}
	if err := remote.Check(*cfg.API); err != nil {
		return api.Errorf(api.Refused, "%s: %v", c.opt.ConfigFile, err)
	}
	return nil
}
