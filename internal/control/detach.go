package control

import (
	"context"
	"errors"

	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/loader/vip"
)

// Detach takes everything out of the kernel: links, pins and our VIP addresses. The daemon ends afterwards.
func (c *Controller) Detach(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := errors.Join(loader.Detach(c.plane.Dir()), RemoveVIPs())
	if err == nil {
		c.detach()
	}
	return err
}

// RemoveVIPs takes away the VIP addresses that ebbtide put on this host.
func RemoveVIPs() error {
	ours, err := vip.Ours()
	if err != nil {
		return err
	}
	return vip.Remove(ours)
}
