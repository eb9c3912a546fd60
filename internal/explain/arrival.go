package explain

import (
	"fmt"
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

// listener: a packet that is for none is the kernel's.
func (w *walk) listener() (bool, error) {
	l, there, err := w.k.Listener(maps.Socket{Addr: w.To.Addr(), Port: w.To.Port(), Protocol: w.Protocol})
	if err != nil {
		return true, err
	}
	if !there {
		w.say(StepListener, fmt.Sprintf("%s %s: no listener", protocolName(w.Protocol), w.To))
		w.Verdict, w.Reason = Pass, "pass_not_ours"
		return true, nil
	}
	w.to, w.Service = l, l.Service
	w.service, _ = w.k.Service(l.Service)
	says := fmt.Sprintf("%s %s: service %s, %s", protocolName(w.Protocol), socketName(w.To), w.service.Name, modes[l.Forwarding])
	if l.Kind == maps.Closed {
		says += "; it is gone from the configuration and takes no new flows"
	}
	w.say(StepListener, says)
	return false, nil
}

var modes = map[maps.Forwarding]string{maps.DSR: "dsr", maps.NAT: "nat", maps.IPIP: "ipip"}

func socketName(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// source: some addresses no packet may come from.
func (w *walk) source() (bool, error) {
	if why := martian(w.Client.Addr(), w.To.Addr()); why != "" {
		w.say(StepSource, fmt.Sprintf("%s is %s: no packet may come from there", w.Client.Addr(), why))
		return w.drop("drop_martian")
	}
	return false, nil
}

// martian is martian4() and martian6() of the program; "" for an address that may send.
func martian(a, vip netip.Addr) string {
	switch {
	case a == vip:
		return "the VIP itself"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsUnspecified():
		return "no address"
	case a.Is4() && a.As4()[0] == 0:
		return "of network 0"
	case a.Is4() && a.As4()[0] >= 0xe0:
		return "a reserved address"
	}
	return ""
}

// closed: what has no pin is new to a listener that takes nothing new.
func (w *walk) closed() (bool, error) {
	if w.to.Kind == maps.Closed {
		return w.drop("drop_listener_closed")
	}
	return false, nil
}
