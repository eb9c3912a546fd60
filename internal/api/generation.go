package api

import (
	"fmt"
	"time"
)

// GenerationRef names a generation. Number 0 is none.
type GenerationRef struct {
	Number  uint32 `json:"number"`
	Colour  string `json:"colour"` // "" once another generation has its slot
	Version string `json:"version"`
}

// Name gives it the way people name it.
func (g GenerationRef) Name() string {
	if g.Colour == "" {
		return fmt.Sprintf("generation %d (version %s)", g.Number, g.Version)
	}
	return fmt.Sprintf("generation %d (%s, version %s)", g.Number, g.Colour, g.Version)
}

// Generation is one version deployed into a pool, with what the kernel counted
// of it. The counts grow only, but for Sessions.
type Generation struct {
	GenerationRef
	State             string    `json:"state"`
	Roles             []string  `json:"roles,omitempty"` // none: it is drained
	Reason            string    `json:"reason"`          // why it is inconclusive
	Since             time.Time `json:"since"`           // when it came into State
	Sessions          Sessions  `json:"sessions"`
	New               uint64    `json:"new"`
	Orphans           uint64    `json:"orphans"`
	Reopened          uint64    `json:"reopened"`
	Rejoined          uint64    `json:"rejoined"` // flows that joined a client's session whose last flow had ended
	Moved             uint64    `json:"moved"`    // sessions taken from it
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

// The roles of a [Generation]. A stable one has another, too, until it is drained.
const (
	RoleLive      = "live"
	RoleDraining  = "draining"
	RoleCandidate = "candidate"
	RoleStable    = "stable" // the last that passed its bake, and what a rollback goes to
)

// Sessions counts those that were in the flow table at the last sweep.
type Sessions struct {
	HalfOpen    uint64 `json:"half_open"`
	Young       uint64 `json:"young"`
	Established uint64 `json:"established"`
	Closing     uint64 `json:"closing"`
	Lingering   uint64 `json:"lingering,omitempty"` // of clients: without a flow, and may be joined again
	Evicting    uint64 `json:"evicting"`            // marked, and silent since
	Total       uint64 `json:"total"`
	Flows       uint64 `json:"flows,omitempty"` // where sessions are of clients: how many flows they have
}

// Backend is one real server of a generation.
type Backend struct {
	ID        uint16    `json:"id"`
	Addresses []string  `json:"addresses"`
	Port      uint16    `json:"port"` // 0: the listener's
	Weight    uint32    `json:"weight"`
	Health    *Health   `json:"health,omitempty"` // nil: nobody asks
	State     string    `json:"state"`
	Sessions  uint64    `json:"sessions"`
	Counted   bool      `json:"counted"` // it counts by itself; else with its generation only, and what follows is 0
	Packets   uint64    `json:"packets"`
	Bytes     uint64    `json:"bytes"`
	NextHops  []NextHop `json:"next_hops"`

	Occupancy *Occupancy `json:"occupancy,omitempty"` // nil: it tells none
}

// The states of a [Backend].
const (
	BackendInUse    = "in use"
	BackendDraining = "draining"
	BackendRemoved  = "removed"
	BackendResting  = "resting" // it takes no new sessions for a time
	BackendLost     = "lost"    // nobody is there, and its sessions move
)

// HopResolved is the State of a [NextHop] that packets can be sent to.
const HopResolved = "resolved"

// NextHop is where the packets to one address of a backend go.
type NextHop struct {
	Family    string `json:"family"`
	Interface string `json:"interface"`
	MAC       string `json:"mac"`
	State     string `json:"state"`
	Reason    string `json:"reason"` // why it can't be used
}
