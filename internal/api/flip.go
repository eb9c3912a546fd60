package api

// FlipRequest asks for a flip of Service. To is the colour that shall be live,
// "" for the other one. Force flips to a pool without a usable backend, too.
type FlipRequest struct {
	Service string `json:"service"`
	To      string `json:"to,omitempty"`
	Force   bool   `json:"force,omitempty"`
}

func (r FlipRequest) validate() error {
	switch r.To {
	case "", "blue", "green":
		return needService(r.Service)
	}
	return Errorf(Usage, "colour %q: want blue or green", r.To)
}

// RollbackRequest asks for a rollback of Service.
type RollbackRequest struct {
	Service string `json:"service"`
}

func (r RollbackRequest) validate() error { return needService(r.Service) }

// FlipResult is what a flip did, and the proof, read back after the barrier.
type FlipResult struct {
	Service       string         `json:"service"`
	Changed       bool           `json:"changed"`
	Live          GenerationRef  `json:"live"`
	Old           *GenerationRef `json:"old,omitempty"` // nil when nothing was live, or nothing changed
	NewOnOld      uint64         `json:"new_on_old"`    // new sessions that the kernel pinned to Old after the barrier
	ReopenedOnOld uint64         `json:"reopened_on_old"`
	SessionsOnOld uint64         `json:"sessions_on_old"`
	BarrierMicros int64          `json:"barrier_micros"`
}

func needService(name string) error {
	if name == "" {
		return Errorf(Usage, "service: missing")
	}
	return nil
}
