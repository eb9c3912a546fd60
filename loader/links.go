package loader

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
)

// LinkChange is what a link event says of an interface.
type LinkChange struct {
	Name  string
	Index uint32
	MAC   [6]byte
	Up    bool
}

// FollowLinks calls f for every event of an Ethernet interface in the calling thread's network namespace, until the
// context ends.
func FollowLinks(ctx context.Context, f func(LinkChange) error) error {
	updates := make(chan netlink.LinkUpdate, 64)
	if err := netlink.LinkSubscribe(updates, ctx.Done()); err != nil {
		return fmt.Errorf("subscribe to link events: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, open := <-updates:
			if !open {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("the subscription to link events ended")
			}
			attrs := u.Link.Attrs()
			if len(attrs.HardwareAddr) != 6 {
				continue
			}
			change := LinkChange{
				Name: attrs.Name, Index: uint32(attrs.Index), MAC: [6]byte(attrs.HardwareAddr),
				Up: attrs.RawFlags&1 != 0, // IFF_UP
			}
			if err := f(change); err != nil {
				return err
			}
		}
	}
}

// FollowMAC tells the program of an attached interface's MAC when it has changed: frames for the old one are not ours
// any more. Interfaces that the program does not run on are left alone.
func (p *Plane) FollowMAC(change LinkChange) error {
	have, attached := p.Tables.Ifaces()[change.Index]
	if !attached || have == change.MAC {
		return nil
	}
	return p.Tables.SetIface(change.Index, change.MAC)
}
