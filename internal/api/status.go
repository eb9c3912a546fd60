package api

import "time"

// Status is everything that the daemon knows, without the flows.
type Status struct {
	Version      string      `json:"version"`
	Revision     uint64      `json:"revision"` // of the desired state
	Build        string      `json:"build"`    // tag of the program in the kernel
	StartedAt    time.Time   `json:"started_at"`
	ConfigFile   string      `json:"config_file"`
	Interfaces   []Interface `json:"interfaces"`
	MaxFlows     uint32      `json:"max_flows"`
	Tables       []Table     `json:"tables"`
	VIPs         []VIP       `json:"vips"`
	Services     []Service   `json:"services"`
	Schedule     []Scheduled `json:"schedule,omitempty"` // what shall be done later, and what became of the last ones
	LastSweep    time.Time   `json:"last_sweep"`
	SweepSeconds float64     `json:"sweep_seconds"`
	Upgrade      string      `json:"upgrade"` // what is being imported, "" for nothing
	// Reasons counts packets that were dropped, drop_…, and events that are worth a look, event_…, since the program
	// was loaded; those that never were are left out. Drops explains each.
	Reasons map[string]uint64 `json:"reasons"`
}

// Interface is one that players' packets come in by.
type Interface struct {
	Name     string `json:"name"`
	Index    int    `json:"index"`
	Mode     string `json:"mode"` // native or generic
	Attached bool   `json:"attached"`
	Problem  string `json:"problem"`
}

// The modes of an [Interface].
const (
	ModeNative  = "native"
	ModeGeneric = "generic"
)

// Table is the flow table of one family. Overflow is how much of Used lies in
// the overflow.
type Table struct {
	Family   string `json:"family"` // ipv4 or ipv6
	Slots    uint64 `json:"slots"`
	Used     uint64 `json:"used"`
	Overflow uint64 `json:"overflow"`
}

// VIP is an address that players use. Interface holds it, "" when none of
// this host's does.
type VIP struct {
	Address   string `json:"address"`
	Interface string `json:"interface"`
}
