package api

// Service is what players use and what is flipped as one. Generations has the
// live one, those staged and those that drain.
type Service struct {
	Name        string        `json:"name"`
	Group       string        `json:"group,omitempty"` // of services that flip together
	Forwarding  string        `json:"forwarding"`
	Problem     string        `json:"problem"`
	Live        GenerationRef `json:"live"`
	Listeners   []Listener    `json:"listeners"`
	Canary      *Canary       `json:"canary,omitempty"`      // nil while nothing is staged
	Lock        *Lock         `json:"lock,omitempty"`        // nil while it is not locked
	Freeze      *Freeze       `json:"freeze,omitempty"`      // nil while it is not frozen
	NextFreeze  *Freeze       `json:"next_freeze,omitempty"` // the first that begins after Freeze, or after now
	Closed      string        `json:"closed,omitempty"`      // what new sessions are told; "": they are taken
	Releases    []Release     `json:"releases,omitempty"`    // that are not over
	Generations []Generation  `json:"generations"`
}

// Listener is one VIP, protocol and port or port range.
type Listener struct {
	VIP      string `json:"vip"`
	Protocol string `json:"protocol"`
	Ports    string `json:"ports"` // 7777, 7777-7800 or all
	Sessions uint64 `json:"sessions"`
}
