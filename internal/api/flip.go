package api

// FlipRequest asks for a flip of Service. To is the colour that shall be live,
// "" for the other one. Force flips to a pool without a usable backend, or
// without room, too,
// and Alone a service whose group stays where it is.
type FlipRequest struct {
	Act
	Service string `json:"service"`
	To      string `json:"to,omitempty"`
	Force   bool   `json:"force,omitempty"`
	Alone   bool   `json:"alone,omitempty"`
}

func (r FlipRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if err := colourOrNone(r.To); err != nil {
		return err
	}
	return needService(r.Service)
}

func colourOrNone(to string) error {
	switch to {
	case "", "blue", "green":
		return nil
	}
	return Errorf(Usage, "colour %q: want blue or green", to)
}

// RollbackRequest asks for a rollback of Service; with Alone also when its
// group stays where it is.
type RollbackRequest struct {
	Act
	Service string `json:"service"`
	Alone   bool   `json:"alone,omitempty"`
}

func (r RollbackRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	return needService(r.Service)
}

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
