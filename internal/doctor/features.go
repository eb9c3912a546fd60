package doctor

import (
	"encoding/binary"
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Of linux/netdev.h: what a driver does with XDP.
const (
	netdevFamily      = "netdev"
	cmdDevGet         = 1
	attrDevIfindex    = 1
	attrDevXDPFeature = 3
	featureBasic      = 1 << 0
	featureSend       = 1 << 2 // takes redirected frames
)

// xdpFeatures asks the kernel what the driver of an interface does (Linux 6.3).
func xdpFeatures(index int) (uint64, error) {
	family, err := netlink.GenlFamilyGet(netdevFamily)
	if err != nil {
		return 0, err
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	req.AddData(&nl.Genlmsg{Command: cmdDevGet, Version: 1})
	req.AddData(nl.NewRtAttr(attrDevIfindex, nl.Uint32Attr(uint32(index))))
	msgs, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, err
	}
	for _, m := range msgs {
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, err
		}
		for _, a := range attrs {
			if a.Attr.Type == attrDevXDPFeature && len(a.Value) >= 8 {
				return binary.NativeEndian.Uint64(a.Value), nil
			}
		}
	}
	return 0, errors.New("the kernel says nothing of XDP on it")
}
