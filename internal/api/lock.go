package api

import "time"

// The least and the most that a lock may be for.
const (
	MinLock = time.Second
	MaxLock = 366 * 24 * time.Hour
)

// LockRequest asks to keep everybody from changing Service, for a time. A
// service that is locked is locked anew.
type LockRequest struct {
	Act
	Service    string  `json:"service"`
	ForSeconds float64 `json:"for_seconds"`
}

// For gives ForSeconds as a duration.
func (r LockRequest) For() time.Duration {
	return time.Duration(r.ForSeconds * float64(time.Second))
}

func (r LockRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	switch d := r.For(); {
	case d < MinLock || d > MaxLock:
		return Errorf(Usage, "a lock for %s: want %s to %s", d, MinLock, MaxLock)
	case r.Reason == "":
		return Errorf(Usage, "reason: missing: whoever is kept out wants to know")
	}
	return needService(r.Service)
}

// UnlockRequest asks to let changes of Service happen again.
type UnlockRequest struct {
	Act
	Service string `json:"service"`
}

func (r UnlockRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	return needService(r.Service)
}

// Lock keeps everybody from changing a service, the one who holds it included.
type Lock struct {
	Service string    `json:"service"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}
