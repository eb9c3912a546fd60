package api

import "time"

// GenerationRef names a generation. Number 0 is none.
type GenerationRef struct {
	Number  uint32 `json:"number"`
	Colour  string `json:"colour"` // "" once another generation has its slot
	Version string `json:"version"`
}

// Generation is one version deployed into a pool, with what the kernel counted
// of it. The counts grow only, but for Sessions.
type Generation struct {
	GenerationRef
	State             string    `json:"state"`
	Reason            string    `json:"reason"` // why it is inconclusive
	Since             time.Time `json:"since"`  // when it came into State
	Sessions          Sessions  `json:"sessions"`
	New               uint64    `json:"new"`
	Orphans           uint64    `json:"orphans"`
	Reopened          uint64    `json:"reopened"`
	Unpinned          uint64    `json:"unpinned"`
	Packets           uint64    `json:"packets"`
	Bytes             uint64    `json:"bytes"`
	NewSinceFlip      uint64    `json:"new_since_flip"` // since the flip away from it
	ReopenedSinceFlip uint64    `json:"reopened_since_flip"`
	Backends          []Backend `json:"backends"`
}

// The states of a [Generation] and of a [DrainProgress].
const (
	StateCandidate    = "candidate"
	StateLive         = "live"
	StateDraining     = "draining"
	StateDrained      = "drained"
	StateInconclusive = "inconclusive"
	StateEnded        = "ended" // of a drain only: a flip or rollback ended it
)

// Sessions counts those that were in the flow table at the last sweep.
type Sessions struct {
	HalfOpen    uint64 `json:"half_open"`
	Young       uint64 `json:"young"`
	Established uint64 `json:"established"`
	Closing     uint64 `json:"closing"`
	Total       uint64 `json:"total"`
}

// Backend is one real server of a generation.
type Backend struct {
	ID        uint16    `json:"id"`
	Addresses []string  `json:"addresses"`
	Port      uint16    `json:"port"` // 0: the listener's
	Weight    uint32    `json:"weight"`
	State     string    `json:"state"`
	Sessions  uint64    `json:"sessions"`
	NextHops  []NextHop `json:"next_hops"`
}

// The states of a [Backend].
const (
	BackendInUse    = "in use"
	BackendDraining = "draining"
	BackendRemoved  = "removed"
)

// NextHop is where the packets to one address of a backend go.
type NextHop struct {
	Family    string `json:"family"`
	Interface string `json:"interface"`
	MAC       string `json:"mac"`
	State     string `json:"state"`
	Reason    string `json:"reason"` // why it can't be used
}
