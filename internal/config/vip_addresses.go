package config

// VIPAddresses is who answers ARP and neighbour discovery for a VIP.
type VIPAddresses string

// Who may hold the VIPs.
const (
	// VIPAddressesHost puts each VIP on the first interface as /32 or /128.
	VIPAddressesHost VIPAddresses = "host"
	// VIPAddressesNone leaves it to the operator to route the VIPs here.
	VIPAddressesNone VIPAddresses = "none"
)
