package config

// Forwarding is how a packet gets from this host to its backend.
type Forwarding string

// The forwarding modes.
const (
	// DSR rewrites the MAC address only; the backend holds the VIP and
	// answers the client itself.
	DSR Forwarding = "dsr"
	// NAT rewrites the destination; replies come back through this host.
	NAT Forwarding = "nat"
	// IPIP puts another IP header before the packet; the backend takes it
	// off, holds the VIP and answers the client itself.
	IPIP Forwarding = "ipip"
)
