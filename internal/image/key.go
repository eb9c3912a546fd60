package image

import (
	"fmt"
	"net/netip"
)

// backendKey is what makes a backend of a generation the same one over reloads.
type backendKey struct {
	v4, v6 netip.Addr
	port   uint16
}

func (k backendKey) String() string {
	return fmt.Sprintf("%s|%s|%d", text(k.v4), text(k.v6), k.port)
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
