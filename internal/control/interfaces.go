package control

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// attach makes the program run on every interface of the file. It comes before all other writes, since it is what the
// host can refuse: then what it had attached is detached again, and nothing has changed.
func (c *Controller) attach(cfg *config.Config) error {
	attached, err := c.plane.Attached()
	if err != nil {
		return err
	}
	have := names(attached)
	var added []string
	for _, name := range cfg.Interfaces {
		if slices.Contains(have, name) {
			continue
		}
		c.step("attach " + name)
		if err := c.plane.Attach(name, modeOf(cfg), c.opt.Force); err != nil {
			return errors.Join(err, c.detachFrom(added))
		}
		added = append(added, name)
	}
	c.followVLANs()
	return nil
}

// followVLANs has the VLANs on attached interfaces known. One that can't be is no reason not to serve the others: packets of
// clients in it are counted as drop_other_vlan.
func (c *Controller) followVLANs() {
	if err := c.plane.FollowVLANs(); err != nil {
		c.log.Error("follow the VLANs on the interfaces", "err", err)
	}
	attached, err := c.plane.Attached()
	if err != nil {
		return // whoever asked for it hears of it
	}
	for _, a := range attached {
		if problem := c.plane.TagsProblem(a); problem != "" {
			c.log.Warn("the program does not see the VLANs", "interface", a.Name, "problem", problem)
		}
	}
}

// detachOthers takes the program off the interfaces that the file no longer has.
func (c *Controller) detachOthers(cfg *config.Config) error {
	attached, err := c.plane.Attached()
	if err != nil {
		return err
	}
	return c.detachFrom(leaving(attached, cfg))
}

func (c *Controller) detachFrom(interfaces []string) error {
	for _, name := range interfaces {
		c.step("detach " + name)
		if err := c.plane.DetachFrom(name); err != nil {
			return err
		}
		c.followVLANs()
	}
	return nil
}

// mayLeave refuses to give up an interface by which sessions go to their backends: that would cut them.
func (c *Controller) mayLeave(cfg *config.Config) error {
	attached, err := c.plane.Attached()
	if err != nil {
		return err
	}
	gone := map[uint32]string{}
	for _, a := range attached {
		if !slices.Contains(cfg.Interfaces, a.Name) && !isShadows(a.Name) { // whose sessions are nobody's
			gone[uint32(a.Index)] = a.Name
		}
	}
	if len(gone) == 0 {
		return nil
	}
	now, err := c.pass()
	if err != nil {
		return err
	}
	for id, b := range c.image.Backends {
		for _, f := range kernel.Families() {
			hop, resolved := c.plane.Tables.Hop(f, id)
			name, leaves := gone[hop.IfIndex]
			if n := now.Sessions[id].Total(); n > 0 && resolved && leaves {
				return api.Errorf(api.Refused, "interfaces: %d sessions go to backend %s by %s, and would be cut; keep it until they have ended", n, addresses(b), name)
			}
		}
	}
	return nil
}

// leaving are the interfaces that the program runs on and that the file does not have.
func leaving(attached []loader.Attached, cfg *config.Config) []string {
	return slices.DeleteFunc(names(attached), func(name string) bool { return slices.Contains(cfg.Interfaces, name) })
}

func names(attached []loader.Attached) []string {
	var out []string
	for _, a := range attached {
		out = append(out, a.Name)
	}
	return out
}

func modeOf(cfg *config.Config) loader.Mode {
	if cfg.XDPMode == config.XDPGeneric {
		return loader.Generic
	}
	return loader.Native
}

// planInterfaces says where a reload would attach and detach.
func (c *Controller) planInterfaces(cfg *config.Config, d *describer) error {
	attached, err := c.plane.Attached()
	if err != nil {
		return err
	}
	for _, name := range leaving(attached, cfg) {
		d.add("", "detach from %s", name)
	}
	for _, name := range cfg.Interfaces {
		if !slices.Contains(names(attached), name) {
			d.add("", "attach to %s in %s mode", name, cfg.XDPMode)
		}
	}
	return nil
}

// interfaces is what status says of them.
func (c *Controller) interfaces() ([]api.Interface, error) {
	attached, err := c.plane.Attached()
	if err != nil {
		return nil, err
	}
	var out []api.Interface
	for _, a := range attached {
		i := api.Interface{Name: a.Name, Index: a.Index, Mode: string(a.Mode), Attached: a.Foreign == 0}
		if a.Foreign != 0 {
			i.Problem = fmt.Sprintf("program %d was put in place of ours: see who did (bpftool prog show id %d), detach it (bpftool link) and reload", a.Foreign, a.Foreign)
		}
		if c.cfg != nil && a.Mode != modeOf(c.cfg) && i.Problem == "" {
			i.Problem = fmt.Sprintf("the file says %s: detach, and start again, to change it", c.cfg.XDPMode)
		}
		i.Problem = cmp.Or(i.Problem, c.plane.TagsProblem(a))
		out = append(out, i)
	}
	if c.cfg == nil {
		return out, nil
	}
	for _, name := range c.cfg.Interfaces {
		if !slices.Contains(names(attached), name) {
			out = append(out, api.Interface{Name: name, Problem: "the program is not attached: reload attaches it again"})
		}
	}
	return out, nil
}
