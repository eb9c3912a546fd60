// Package gate judges whether a release may go on: by what the kernel counted of the old and the new sessions, by
// Prometheus, a webhook, the backends' health or somebody's word.
//
// It reads no kernel itself: the figures come in through [Facts].
package gate

import "time"

// Facts are the kernel's figures, as plain numbers, at one moment of a watch.
type Facts struct {
	Service string `json:"service"`
	Release string `json:"release"` // its number; empty: there is none
	From    uint32 `json:"from"`    // numbers of the generations, the old one and
	To      uint32 `json:"to"`      // that which is released

	New    Counts `json:"new"`    // of the generation that is released, since the watch began
	Old    Counts `json:"old"`    // of the old one, before the watch, and beside it where both take new sessions
	Since  Rate   `json:"since"`  // new sessions of the whole service since the watch began
	Before Rate   `json:"before"` // and before it

	Backends int `json:"backends"` // of the generation that is released
	Usable   int `json:"usable"`   // of those

	Approved map[string]string `json:"-"` // who approved, by the gate's name
}

// Counts is what was counted of a generation.
type Counts struct {
	Begun            uint64 `json:"begun"`             // sessions, orphans included
	Settled          uint64 `json:"settled"`           // of those, that are half-open no more
	NeverEstablished uint64 `json:"never_established"` // of those, whose client never took a second step
	Orphans          uint64 `json:"orphans"`
	Resets           uint64 `json:"resets"`
	SYNRetransmits   uint64 `json:"syn_retransmits"`
	// Ended are the sessions that ended, by their length: the first bucket is up to a second, each later one up to twice
	// what that before it is. Nil where lengths are not counted.
	Ended []uint64 `json:"ended,omitempty"`
}

// Rate is a count over a time.
type Rate struct {
	Count uint64        `json:"count"`
	For   time.Duration `json:"for"`
}
