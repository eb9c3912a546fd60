package api

import (
	"fmt"
	"net/netip"
)

// ExplainRequest asks where the packets of a client go. What is left empty
// stands for all: every service, the flows of every port.
type ExplainRequest struct {
	Client    string `json:"client"` // an address
	Service   string `json:"service,omitempty"`
	Port      uint16 `json:"port,omitempty"` // the client's
	To        uint16 `json:"to,omitempty"`   // the listener's
	IfFlipped bool   `json:"if_flipped,omitempty"`
}

// Address gives Client as an address.
func (r ExplainRequest) Address() (netip.Addr, error) {
	if r.Client == "" {
		return netip.Addr{}, Errorf(Usage, "client: missing")
	}
	addr, err := netip.ParseAddr(r.Client)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return netip.Addr{}, Errorf(Usage, "client %q: want an address such as 198.51.100.7", r.Client)
	}
	return addr, nil
}

func (r ExplainRequest) validate() error {
	_, err := r.Address()
	return err
}

// The packets that are explained.
const (
	PacketExisting = "existing" // of a flow that there is
	PacketNew      = "new"      // the first of a new flow
	PacketOrphan   = "orphan"   // in mid-stream of TCP, without a pin
)

// The verdicts.
const (
	VerdictForward = "forward"
	VerdictDrop    = "drop"
	VerdictReset   = "reset" // the session is being moved, and is told so
	VerdictPass    = "pass"  // to the kernel
)

// Explanation is where a packet goes and why.
type Explanation struct {
	Service    string         `json:"service"`
	Packet     string         `json:"packet"`
	Protocol   string         `json:"protocol"`
	Client     string         `json:"client"` // address and port; the address alone when the port is left open
	VIP        string         `json:"vip"`
	Port       uint16         `json:"port"` // 0: left open, of a listener of all ports
	Steps      []ExplainStep  `json:"steps"`
	Verdict    string         `json:"verdict"`
	Reason     string         `json:"reason,omitempty"`
	Generation *GenerationRef `json:"generation,omitempty"`
	Backends   []string       `json:"backends,omitempty"` // several: it depends on a port that is left open
	Interface  string         `json:"interface,omitempty"`
	MAC        string         `json:"mac,omitempty"` // of the next hop
}

// ExplainStep is one rule that had something to say.
type ExplainStep struct {
	Step string `json:"step"`
	Says string `json:"says"`
}

// Outcome is the verdict in words.
func (e Explanation) Outcome() string {
	switch e.Verdict {
	case VerdictForward:
		return "forwarded"
	case VerdictReset:
		return fmt.Sprintf("its session is moved (%s)", e.Reason)
	case VerdictPass:
		return fmt.Sprintf("passed to the kernel (%s)", e.Reason)
	}
	return fmt.Sprintf("dropped (%s)", e.Reason)
}
