package loader

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// LinkChange is what a link event says of an interface.
type LinkChange struct {
	Name  string
	Index uint32
	MAC   [6]byte
	Up    bool
}

// linkBuffer is what the kernel may have waiting for a subscriber: enough for thousands of events.
const linkBuffer = 4 << 20

// FollowLinks calls f for every Ethernet interface in the calling thread's network namespace, and again for every event of
// one, until the context ends. Events that were lost are made up for by all interfaces once more.
func FollowLinks(ctx context.Context, f func(LinkChange) error) error {
	for ctx.Err() == nil {
		if err := followLinks(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// followLinks ends with its subscription: the library closes it when the kernel had to drop events.
func followLinks(ctx context.Context, f func(LinkChange) error) error {
	done := make(chan struct{})
	defer close(done)
	updates := make(chan netlink.LinkUpdate, 64)
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		ListExisting: true, ReceiveBufferSize: linkBuffer, ReceiveBufferForceSize: true,
	})
	if err != nil {
		return fmt.Errorf("subscribe to link events: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, open := <-updates:
			if !open {
				return nil
			}
			if change, ok := changeOf(u.Link.Attrs()); ok {
				if err := f(change); err != nil {
					return err
				}
			}
		}
	}
}

func changeOf(attrs *netlink.LinkAttrs) (LinkChange, bool) {
	if len(attrs.HardwareAddr) != 6 {
		return LinkChange{}, false
	}
	return LinkChange{
		Name: attrs.Name, Index: uint32(attrs.Index), MAC: [6]byte(attrs.HardwareAddr), Up: attrs.Flags&net.FlagUp != 0,
	}, true
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
