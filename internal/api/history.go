package api

import "github.com/ebbtide/ebbtide/internal/journal"

// HistoryRequest asks for the journal's events: those that agree with every
// field that is not zero. Last is how many of the newest, 0 for all; with
// Follow those to come are sent as they happen.
type HistoryRequest struct {
	Service string `json:"service,omitempty"`
	Act     string `json:"act,omitempty"`
	Last    uint32 `json:"last,omitempty"`
	Follow  bool   `json:"follow,omitempty"`
}

func (HistoryRequest) validate() error { return nil }

// Wants says whether an event is one of those asked for.
func (r HistoryRequest) Wants(e journal.Event) bool {
	return (r.Service == "" || r.Service == e.Service) && (r.Act == "" || r.Act == e.Act)
}
