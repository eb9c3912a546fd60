package api

import "time"

// DrainRequest asks to watch a generation of Service drain, or with Generation
// 0 all that do; with Group all that do of its services.
type DrainRequest struct {
	Service    string `json:"service,omitempty"`
	Group      string `json:"group,omitempty"`
	Generation uint32 `json:"generation,omitempty"`
}

func (r DrainRequest) validate() error {
	switch {
	case r.Group == "":
		return needService(r.Service)
	case r.Service != "":
		return Errorf(Usage, "service %s and group %s: want one of them", r.Service, r.Group)
	case r.Generation != 0:
		return Errorf(Usage, "generation %d of a group: name its service", r.Generation)
	}
	return nil
}

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
	Verdict       string        `json:"verdict,omitempty"`  // "" when it was ended
	Evidence      string        `json:"evidence,omitempty"` // of the verdict
	// Forecast is nil while nothing is known of how long sessions last.
	Forecast     *DrainForecast `json:"forecast,omitempty"`
	Rest         *DrainRest     `json:"rest,omitempty"` // as far as it was looked at
	NewSinceFlip uint64         `json:"new_since_flip"`
	Reopened     uint64         `json:"reopened"`
	Done         bool           `json:"done"`     // the last progress of the stream
	EndedBy      string         `json:"ended_by"` // of State ended
}

// What a [DrainProgress] is ended by.
const (
	EndedByFlip     = "flip"
	EndedByRollback = "rollback"
)
