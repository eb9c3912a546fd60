package api

// RehearseRequest asks to rehearse a release of Service.
type RehearseRequest struct {
	Act
	Service string `json:"service"`
}

func (r RehearseRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	return needService(r.Service)
}

// Rehearsal is how far a rehearsal has come, and with Done how it went. OK
// is that every step so far went as it would have to in a release.
type Rehearsal struct {
	Service  string          `json:"service"`
	Strategy string          `json:"strategy"`
	From     GenerationRef   `json:"from"`
	To       GenerationRef   `json:"to"`
	OK       bool            `json:"ok"`
	Steps    []RehearsalStep `json:"steps"`
	Done     bool            `json:"done"` // the last one of the stream
}

// RehearsalStep is one thing that was tried or looked at.
type RehearsalStep struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Unknown bool    `json:"unknown,omitempty"` // nobody could look, or it was not done: that is said
	Detail  string  `json:"detail"`
	Seconds float64 `json:"seconds"`
}
