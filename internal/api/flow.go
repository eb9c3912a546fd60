package api

import (
	"net/netip"
	"slices"
	"strings"
)

// FlowFilter says which flows are wanted: those that agree with every field
// that is not zero.
type FlowFilter struct {
	Service    string `json:"service,omitempty"`
	Client     string `json:"client,omitempty"` // an address or a prefix
	Generation uint32 `json:"generation,omitempty"`
	State      string `json:"state,omitempty"`
}

// ClientPrefix gives Client as a prefix, the zero Prefix for every client.
func (f FlowFilter) ClientPrefix() (netip.Prefix, error) {
	if f.Client == "" {
		return netip.Prefix{}, nil
	}
	if addr, err := netip.ParseAddr(f.Client); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(f.Client)
	if err != nil {
		return netip.Prefix{}, Errorf(Usage, "client %q: want an address or a prefix such as 198.51.100.0/24", f.Client)
	}
	return prefix.Masked(), nil
}

func (f FlowFilter) validate() error {
	if f.State != "" && !slices.Contains(FlowStates(), f.State) {
		return Errorf(Usage, "state %q: want %s", f.State, strings.Join(FlowStates(), ", "))
	}
	_, err := f.ClientPrefix()
	return err
}

// FlowStates are the states of a [Flow], in the order of a flow's life.
func FlowStates() []string {
	return []string{"half-open", "young", "established", "closing", "evicting"}
}

// Flow is one flow entry. Times are whole seconds.
type Flow struct {
	Service     string        `json:"service"`
	Family      string        `json:"family"`
	Protocol    string        `json:"protocol"`
	Client      string        `json:"client"` // address and port
	VIP         string        `json:"vip"`
	Port        uint16        `json:"port"`
	Generation  GenerationRef `json:"generation"`
	Backend     string        `json:"backend"` // its address
	State       string        `json:"state"`
	AgeSeconds  uint32        `json:"age_seconds"`  // since it was pinned
	IdleSeconds uint32        `json:"idle_seconds"` // since its last packet
}
