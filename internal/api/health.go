package api

import "time"

// HealthRequest says that a backend of Service is well or sick, where the file
// leaves that to others. Backend is its address.
type HealthRequest struct {
	Act
	Service string `json:"service"`
	Backend string `json:"backend"`
	Well    bool   `json:"well"`
}

func (r HealthRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if r.Backend == "" {
		return Errorf(Usage, "backend: missing")
	}
	return needService(r.Service)
}

// Health is what the checks of a backend say. One that was not asked yet is
// what it was before; Since is nil then.
type Health struct {
	Well  bool       `json:"well"`
	Since *time.Time `json:"since,omitempty"`
	Sick  string     `json:"sick"` // why it is
}
