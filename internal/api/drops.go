package api

import "time"

// MaxDropsInterval bounds how long a [DropsRequest] may take.
const MaxDropsInterval = time.Minute

// DropsRequest asks for the counts by reason, and for their rates over an
// interval that begins with the request. Without All those that never were, and
// packets that were passed to the kernel's stack, are left out.
type DropsRequest struct {
	IntervalSeconds float64 `json:"interval_seconds"`
	All             bool    `json:"all,omitempty"`
}

// Interval gives IntervalSeconds as a duration.
func (r DropsRequest) Interval() time.Duration {
	return time.Duration(r.IntervalSeconds * float64(time.Second))
}

func (r DropsRequest) validate() error {
	if d := r.Interval(); d <= 0 || d > MaxDropsInterval {
		return Errorf(Usage, "interval %s: want more than 0 and at most %s", d, MaxDropsInterval)
	}
	return nil
}

// Drops is what was counted by reason: drop_…, then event_…, then pass_….
type Drops struct {
	IntervalSeconds float64  `json:"interval_seconds"` // as it was measured
	Reasons         []Reason `json:"reasons"`
}

// Reason is why packets were dropped or passed, or an event worth a look. Count
// is since the program was loaded.
type Reason struct {
	Reason        string  `json:"reason"`
	Count         uint64  `json:"count"`
	RatePerSecond float64 `json:"rate_per_second"`
	Meaning       string  `json:"meaning"`
	Advice        string  `json:"advice"` // what it asks of an operator
}
