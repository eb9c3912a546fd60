package control

import (
	"context"
	"errors"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/loader/vip"
)

// Detach takes everything out of the kernel: links, pins and our VIP addresses. The daemon ends afterwards. Whoever has
// waited for the lock meanwhile, and would put something back, finds it gone.
func (c *Controller) Detach(ctx context.Context, req api.DetachRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return err
	}
	a, err := c.begin(ctx, actDetach, "", req.Reason, nil, nil)
	if err != nil {
		return err
	}
	err = errors.Join(loader.Detach(c.plane.Dir()), RemoveVIPs())
	a.end(nil, err)
	if err == nil {
		c.gone = true
		c.detach()
	}
	return err
}

// there refuses changes of a data plane that was taken away. The lock is held.
func (c *Controller) there() error {
	if c.gone {
		return api.Errorf(api.Unavailable, "detached: the daemon is ending")
	}
	return nil
}

// RemoveVIPs takes away the VIP addresses that ebbtide put on this host.
func RemoveVIPs() error {
	ours, err := vip.Ours()
	if err != nil {
		return err
	}
	return vip.Remove(ours)
}
