package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/api"
)

// withPeer says for each change whose it is, by the kernel: of the user whose process has the other end of the connection. A
// change by nobody is refused, since the journal would have it as the daemon's own.
func withPeer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		uid, err := userOf(r)
		if err != nil {
			api.WriteError(r.Context(), w, api.Errorf(api.Refused, "find out who asks: %v", err))
			return
		}
		next.ServeHTTP(w, r.WithContext(api.WithPeer(r.Context(), api.Peer{UID: uid})))
	})
}

// userOf looks for the socket that is connected to this one: both are of this host.
func userOf(r *http.Request) (uint32, error) {
	here, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return 0, fmt.Errorf("the connection has no address")
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return 0, err
	}
	to, err := netip.ParseAddrPort(here.String())
	if err != nil {
		return 0, err
	}
	family := uint8(unix.AF_INET)
	if from.Addr().Is6() {
		family = unix.AF_INET6
	}
	sockets, err := netlink.SocketDiagTCP(family)
	if err != nil {
		return 0, fmt.Errorf("ask the kernel for its connections: %w", err)
	}
	for _, s := range sockets {
		if endOf(s.ID.Source, s.ID.SourcePort) == from && endOf(s.ID.Destination, s.ID.DestinationPort) == to {
			return s.UID, nil
		}
	}
	return 0, fmt.Errorf("the kernel has no connection from %s", from)
}

func endOf(ip net.IP, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), port)
}
