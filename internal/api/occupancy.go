package api

import "time"

// OccupancyRequest says how many players a backend of Service holds, and how
// many more it takes, where the file leaves that to others. Backend is its
// address. It is not journaled but where it makes the backend full, or ends that.
type OccupancyRequest struct {
	Service string  `json:"service"`
	Backend string  `json:"backend"`
	Players uint64  `json:"players"`
	Free    *uint64 `json:"free,omitempty"` // nil: it does not say
}

func (r OccupancyRequest) validate() error {
	if r.Backend == "" {
		return Errorf(Usage, "backend: missing")
	}
	if r.Players > maxPlayers || r.Free != nil && *r.Free > maxPlayers {
		return Errorf(Usage, "want at most %d players", uint64(maxPlayers))
	}
	return needService(r.Service)
}

// maxPlayers is the largest number that JSON's readers agree on.
const maxPlayers = 1 << 53

// Occupancy is how many players a backend says that it holds, beside what the
// kernel counts. Players is nil while there is no word, or none that still counts.
type Occupancy struct {
	Players    *uint64    `json:"players,omitempty"`
	Free       *uint64    `json:"free,omitempty"` // how many more it takes; nil: it does not say
	At         *time.Time `json:"at,omitempty"`   // of that word
	Sessions   uint64     `json:"sessions"`       // the kernel's, at the last sweep, without closing ones
	Difference *int64     `json:"difference,omitempty"`
	Full       string     `json:"full"`  // why it gets no new sessions; "": it is not full
	Error      string     `json:"error"` // why the newest question has no answer
}
