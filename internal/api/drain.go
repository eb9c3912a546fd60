package api

import "time"

// DrainRequest asks to watch a generation of Service drain, or with Generation
// 0 all that do.
type DrainRequest struct {
	Service    string `json:"service"`
	Generation uint32 `json:"generation,omitempty"`
}

func (r DrainRequest) validate() error { return needService(r.Service) }

// DrainProgress is where one generation stands. Its State is draining,
// drained, inconclusive or ended.
type DrainProgress struct {
	Service       string        `json:"service"`
	Generation    GenerationRef `json:"generation"`
	State         string        `json:"state"`
	Reason        string        `json:"reason"` // why it is inconclusive
	Left          Sessions      `json:"left"`
	RatePerSecond float64       `json:"rate_per_second"`    // at which sessions leave
	EmptyAt       *time.Time    `json:"empty_at,omitempty"` // at that rate, nil when there is none
	NewSinceFlip  uint64        `json:"new_since_flip"`
	Reopened      uint64        `json:"reopened"`
	Done          bool          `json:"done"`     // the last progress of the stream
	EndedBy       string        `json:"ended_by"` // of State ended
}

// What a [DrainProgress] is ended by.
const (
	EndedByFlip     = "flip"
	EndedByRollback = "rollback"
)
