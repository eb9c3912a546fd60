package api

// GroupFlipRequest asks for a flip of every service of Group, or of none: to the
// colour To, "" for the other one of each. Force is that of [FlipRequest].
type GroupFlipRequest struct {
	Act
	Group string `json:"group"`
	To    string `json:"to,omitempty"`
	Force bool   `json:"force,omitempty"`
}

func (r GroupFlipRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if err := colourOrNone(r.To); err != nil {
		return err
	}
	return needGroup(r.Group)
}

// GroupRollbackRequest asks for a rollback of every service of Group, or of none.
type GroupRollbackRequest struct {
	Act
	Group string `json:"group"`
}

func (r GroupRollbackRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	return needGroup(r.Group)
}

// GroupFlipResult is what a flip of a group did. Members are in the order of
// their names; one that was there already has not changed.
type GroupFlipResult struct {
	Group         string       `json:"group"`
	Members       []FlipResult `json:"members"`
	ApartNanos    int64        `json:"apart_nanos"` // from the first store to the last
	BarrierMicros int64        `json:"barrier_micros"`
}

func needGroup(name string) error {
	if name == "" {
		return Errorf(Usage, "group: missing")
	}
	return nil
}
