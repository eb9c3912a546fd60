package loader

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/loader/vlan"
	"github.com/ebbtide/ebbtide/maps"
)

// LinkChange is what a link event says of an interface.
type LinkChange struct {
	Name  string
	Index uint32
	MAC   [6]byte
	MTU   uint32
	Up    bool
	VLAN  bool   // on another interface
	Bond  uint32 // or bridge that it is a member of: index
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
			if change, ok := changeOf(u.Link); ok {
				if err := f(change); err != nil {
					return err
				}
			}
		}
	}
}

func changeOf(l netlink.Link) (LinkChange, bool) {
	attrs := l.Attrs()
	if len(attrs.HardwareAddr) != 6 {
		return LinkChange{}, false
	}
	return LinkChange{
		Name: attrs.Name, Index: uint32(attrs.Index), MAC: [6]byte(attrs.HardwareAddr), MTU: uint32(attrs.MTU), Up: attrs.Flags&net.FlagUp != 0,
		VLAN: vlan.LayerOf(l) != vlan.Layer{}, Bond: uint32(attrs.MasterIndex),
	}, true
}

// FollowLink tells the program of what has changed: of an attached interface's MAC and MTU, of VLANs on one, of members of an
// attached bond. Frames for the old MAC are not ours any more. Interfaces that have nothing to do with it are left alone.
func (p *Plane) FollowLink(change LinkChange) error {
	ifaces := p.Tables.Ifaces()
	have, known := ifaces[change.Index]
	_, joined := ifaces[change.Bond]
	switch {
	case known && have.Out == 0:
		return p.followAttached(change, have)
	case change.VLAN:
		return p.FollowVLANs()
	case known || joined:
		return p.followMembers()
	}
	return nil
}

func (p *Plane) followAttached(change LinkChange, have maps.Iface) error {
	now := maps.Iface{MAC: change.MAC, MTU: change.MTU}
	if have == now {
		return nil
	}
	if err := p.Tables.SetIface(change.Index, now); err != nil {
		return err
	}
	return p.followMembers()
}
