package vip

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// attrProto is IFA_PROTO: who added an address (Linux 5.18).
	attrProto = 11
	// proto is our value of it. The kernel has 1 to 3, the rest is free.
	proto = 0xEB
)

// address is one address of this host.
type address struct {
	index int
	addr  netip.Addr
	bits  uint8
	ours  bool
}

// list reads the addresses of all interfaces. The netlink library's own list
// leaves out who added them.
func list() ([]address, error) {
	for range 50 {
		req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
		msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		return parseAll(msgs)
	}
	return nil, fmt.Errorf("list addresses: %w", netlink.ErrDumpInterrupted)
}

func parseAll(msgs [][]byte) ([]address, error) {
	out := make([]address, 0, len(msgs))
	for _, m := range msgs {
		a, err := parse(m)
		if err != nil {
			return nil, fmt.Errorf("parse address: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}

func parse(m []byte) (address, error) {
	msg := nl.DeserializeIfAddrmsg(m)
	attrs, err := nl.ParseRouteAttr(m[msg.Len():])
	if err != nil {
		return address{}, err
	}
	a := address{index: int(msg.Index), bits: msg.Prefixlen}
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case unix.IFA_ADDRESS: // the peer's, when there is an IFA_LOCAL too
			if !a.addr.IsValid() {
				a.addr, _ = netip.AddrFromSlice(attr.Value)
			}
		case unix.IFA_LOCAL:
			a.addr, _ = netip.AddrFromSlice(attr.Value)
		case attrProto:
			a.ours = attr.Value[0] == proto
		}
	}
	return a, nil
}

// add marks the address with proto, and an IPv4 one with a label that people
// see. An IPv6 one is deprecated from the start: the kernel answers for it but
// does not take it as the source of this host's own connections.
func add(ifname string, index int, vip netip.Addr) error {
	a := address{index: index, addr: vip, bits: uint8(vip.BitLen())}
	req := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	msg := a.describe(req)
	req.AddData(nl.NewRtAttr(attrProto, []byte{proto}))
	if vip.Is4() {
		if l := label(ifname); l != "" {
			req.AddData(nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(l)))
		}
	} else {
		msg.IfAddrmsg.Flags = unix.IFA_F_NODAD
		forever := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: math.MaxUint32}}
		req.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, forever.Serialize()))
	}
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func remove(a address) error {
	req := nl.NewNetlinkRequest(unix.RTM_DELADDR, unix.NLM_F_ACK)
	a.describe(req)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// describe puts what names the address into req and returns its header.
func (a address) describe(req *nl.NetlinkRequest) *nl.IfAddrmsg {
	family := unix.AF_INET6
	if a.addr.Is4() {
		family = unix.AF_INET
	}
	msg := nl.NewIfAddrmsg(family)
	msg.Prefixlen, msg.Index = a.bits, uint32(a.index)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, a.addr.AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, a.addr.AsSlice()))
	return msg
}

// label returns the label for VIPs on the interface, "" when its name leaves no
// room: a label starts with it and has 15 characters at most.
func label(ifname string) string {
	l := ifname + ":ebb"
	if len(l) >= unix.IFNAMSIZ {
		return ""
	}
	return l
}
