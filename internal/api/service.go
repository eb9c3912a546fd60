package api

// Service is what players use and what is flipped as one. Generations has the
// live one, those staged and those that drain.
type Service struct {
	Name        string        `json:"name"`
	Forwarding  string        `json:"forwarding"`
	Problem     string        `json:"problem"`
	Live        GenerationRef `json:"live"`
	Listeners   []Listener    `json:"listeners"`
	Generations []Generation  `json:"generations"`
}

// Listener is one VIP, protocol and port or port range.
type Listener struct {
	VIP      string `json:"vip"`
	Protocol string `json:"protocol"`
	Ports    string `json:"ports"` // 7777 or 7777-7800
	Sessions uint64 `json:"sessions"`
}
