package api

import "time"

// What a [DrainProgress] comes to.
const (
	VerdictDraining     = "draining"
	VerdictDrained      = "drained"
	VerdictStuck        = "stuck"        // what is left no longer ends as its ages predict
	VerdictDeadline     = "deadline"     // the deadline of its release has passed
	VerdictInconclusive = "inconclusive" // what is counted proves nothing
)

// DrainForecast is when a generation will be empty, by the lengths of its
// service's sessions and the ages of those that are left.
type DrainForecast struct {
	Median     time.Time `json:"median"`
	Low        time.Time `json:"low"`        // that it is empty between
	High       time.Time `json:"high"`       // these two
	Confidence float64   `json:"confidence"` // has this chance
	Ended      uint64    `json:"ended"`      // sessions it is made from that have ended
	Living     uint64    `json:"living"`     // and that live
	// OlderThan99 are those that are older than 99 of 100 sessions become.
	OlderThan99 uint64 `json:"older_than_99"`
	// Extrapolated: some would have to outlast all that has ended until High.
	Extrapolated bool `json:"extrapolated"`
}

// DrainRest is what is left of a generation, and why it may stay.
type DrainRest struct {
	Looked        uint64       `json:"looked"`            // at entries; when fewer than there are, the counts below are scaled from those
	OldestSeconds uint32       `json:"oldest_seconds"`    // since it was pinned
	MedianSeconds uint32       `json:"median_seconds"`    // age of those in the middle
	IdleSeconds   uint32       `json:"idle_seconds"`      // the longest silence
	Idle          uint64       `json:"idle"`              // silent for more than a minute
	OneWay        uint64       `json:"one_way"`           // that never got past their first packet, or that a nat backend never answered
	Lingering     uint64       `json:"lingering"`         // ended, and kept until their timeout
	Rejoined      uint64       `json:"rejoined"`          // flows that came back to a lingering session since the drain began to be looked at
	Reopened      uint64       `json:"reopened"`          // SYNs on flows that had not ended, since the flip
	Clients       []LeftClient `json:"clients,omitempty"` // those with most, at most five
}

// LeftClient is a client with sessions left.
type LeftClient struct {
	Client   string `json:"client"`
	Sessions uint64 `json:"sessions"`
}
