package api

import "encoding/json"

// PlanRequest asks what a reload of a configuration would change. Empty Config
// stands for the daemon's own file; Name is for messages.
type PlanRequest struct {
	Name   string `json:"name,omitempty"`
	Config []byte `json:"config,omitempty"`
}

func (r PlanRequest) validate() error {
	if len(r.Config) > 0 && r.Name == "" {
		return Errorf(Usage, "name: missing")
	}
	return nil
}

// Plan is what changes, in the order of the writes. No changes: nothing is
// written.
type Plan struct {
	Changes []Change `json:"changes"`
}

// MarshalJSON gives an empty list, not null, for no changes.
func (p Plan) MarshalJSON() ([]byte, error) {
	type bare Plan
	if p.Changes == nil {
		p.Changes = []Change{}
	}
	return json.Marshal(bare(p))
}

// Change is one thing that changes. Service is empty for what concerns all.
type Change struct {
	Service string `json:"service"`
	What    string `json:"what"`
}
