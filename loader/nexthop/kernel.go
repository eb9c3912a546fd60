package nexthop

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Everything that can change a way. Addresses count because IPv4 drops routes
// whose source address goes, and says nothing. One socket for all keeps them
// in the kernel's order and leaves one overflow to handle.
var groups = []uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE,
	unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV6_RULE,
	unix.RTNLGRP_NEXTHOP,
}

// kernel is the rtnetlink of one network namespace.
type kernel struct {
	handle *netlink.Handle
	events *nl.NetlinkSocket
	buffer int
	done   chan struct{}
	once   sync.Once
	ended  error // why listen ended; nil when closed
}

// event is a batch of messages, or the news that some were lost before it.
type event struct {
	msgs []syscall.NetlinkMessage
	lost bool
}

func openKernel(buffer int) (*kernel, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	events, err := nl.Subscribe(unix.NETLINK_ROUTE, groups...)
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	if err := events.SetReceiveBufferSize(buffer, true); err != nil {
		handle.Close()
		events.Close()
		return nil, fmt.Errorf("set rtnetlink receive buffer: %w", err)
	}
	return &kernel{handle: handle, events: events, buffer: buffer, done: make(chan struct{})}, nil
}

// close ends listen. The handle stays open.
func (k *kernel) close() {
	k.once.Do(func() {
		close(k.done)
		k.events.Close()
	})
}

// listen passes events on until the kernel is closed or the socket fails, then
// closes the channel, with the reason in k.ended.
func (k *kernel) listen() <-chan event {
	out := make(chan event, 64)
	go func() {
		defer close(out)
		for {
			ev, err := k.receive()
			if err != nil {
				k.ended = fmt.Errorf("receive rtnetlink events: %w", err)
			}
			select {
			case <-k.done:
				k.ended = nil
				return
			default:
			}
			if err != nil {
				return
			}
			select {
			case out <- ev:
			case <-k.done:
				return
			}
		}
	}()
	return out
}

func (k *kernel) receive() (event, error) {
	msgs, from, err := k.events.Receive()
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return event{lost: true}, k.discard()
	case err != nil:
		return event{}, err
	case from.Pid != nl.PidKernel:
		return event{}, nil
	}
	return event{msgs: msgs}, nil
}

// discard throws away what was queued when an overflow was reported. The kernel
// reports the overflow first and hands out the older events after it; taken in
// after everything has been read again, they would bring back what is over.
// A queue never holds more than its buffer, so it stops there under a flood.
func (k *kernel) discard() error {
	soon := unix.NsecToTimeval(int64(time.Millisecond))
	never := unix.Timeval{}
	if err := k.events.SetReceiveTimeout(&soon); err != nil {
		return err
	}
	// The kernel doubles the size that it is given.
	for left := 2 * k.buffer; left > 0; {
		msgs, _, err := k.events.Receive()
		switch {
		case errors.Is(err, unix.EAGAIN):
			left = 0
		case errors.Is(err, unix.ENOBUFS):
			left = 2 * k.buffer
		case err != nil:
			return err
		}
		for _, m := range msgs {
			left -= int(m.Header.Len)
		}
	}
	return k.events.SetReceiveTimeout(&never)
}

func (k *kernel) links() (map[int]link, error) {
	list, err := whole(k.handle.LinkList)
	if err != nil {
		return nil, err
	}
	links := make(map[int]link, len(list))
	for _, l := range list {
		links[l.Attrs().Index] = linkOf(l)
	}
	return links, nil
}

func (k *kernel) neighbours() (map[key]entry, error) {
	list, err := whole(func() ([]netlink.Neigh, error) {
		return k.handle.NeighList(0, netlink.FAMILY_ALL)
	})
	if err != nil {
		return nil, err
	}
	table := make(map[key]entry, len(list))
	for _, n := range list {
		if id, e, ok := entryOf(&n); ok {
			table[id] = e
		}
	}
	return table, nil
}

// whole repeats a dump that was interrupted by a change.
func whole[T any](dump func() ([]T, error)) (list []T, err error) {
	for range 50 {
		list, err = dump()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return nil, err
}

// route asks for the longest prefix, as the routing rules have it for packets
// without mark and incoming interface.
func (k *kernel) route(addr netip.Addr) (*netlink.Route, error) {
	opts := netlink.RouteGetOptions{FIBMatch: true}
	routes, err := k.handle.RouteGetWithOptions(addr.AsSlice(), &opts)
	if err != nil {
		return nil, err
	}
	if len(routes) == 0 {
		return nil, unix.ENETUNREACH
	}
	return &routes[0], nil
}

// resolve has the kernel look for a neighbour by broadcast or multicast, unless
// its entry is usable. It must not be used on a permanent entry, which would
// stop being one.
func (k *kernel) resolve(id key) error {
	return k.setNeighbour(id, netlink.NUD_NONE, netlink.NTF_USE)
}

// probe has the kernel ask the neighbour by unicast at once, whatever its
// timers say. The entry stays usable meanwhile; EINVAL when it was not usable.
func (k *kernel) probe(id key) error {
	return k.setNeighbour(id, netlink.NUD_PROBE, 0)
}

// distrust makes the kernel's entry unusable, so that resolve starts over.
func (k *kernel) distrust(id key) error {
	return k.setNeighbour(id, netlink.NUD_NONE, 0)
}

// setNeighbour uses NeighAppend, not NeighSet: without NLM_F_REPLACE the kernel
// keeps what else it knows of the entry, such as that it is a router.
func (k *kernel) setNeighbour(id key, state, flags int) error {
	return k.handle.NeighAppend(&netlink.Neigh{
		LinkIndex: id.link,
		IP:        id.addr.AsSlice(),
		State:     state,
		Flags:     flags,
	})
}
