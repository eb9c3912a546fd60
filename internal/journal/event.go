// Package journal keeps what was done to the services, by whom and why: an append-only file with a JSON line an event, each
// bound to the one before it by a hash, and each on disk before the act that it describes begins.
//
// The kernel is the truth, the journal explains it. An act has an event when it begins and another when it ends; one that
// has no end was cut short by a crash, and whoever opens the journal again finds it with [Journal.Unfinished].
package journal

import (
	"encoding/json"
	"time"
)

// Event is one line.
type Event struct {
	Seq     uint64          `json:"seq"` // 1 is the first
	Time    time.Time       `json:"time"`
	Actor   Actor           `json:"actor"`
	Act     string          `json:"act"` // such as flip
	Stage   Stage           `json:"stage"`
	Of      uint64          `json:"of,omitempty"`      // of an end: Seq of what began
	Service string          `json:"service,omitempty"` // empty: no single one
	Reason  string          `json:"reason,omitempty"`  // what the actor said of it; of a failure, the error
	Key     string          `json:"key,omitempty"`     // that the request came with, which is not done twice
	Before  json.RawMessage `json:"before,omitempty"`  // what is changed, as it is
	After   json.RawMessage `json:"after,omitempty"`   // as it shall be; of an end, as it is
}

// Stage is where in its act an event stands.
type Stage string

// The stages. An act that is over at once has one event, a note.
const (
	Begun  Stage = "begun"
	Done   Stage = "done"
	Failed Stage = "failed"
	Note   Stage = "note"
)

// Actor is who acts: the peer of the daemon's socket, as the kernel names it, who asks over the network, or the daemon itself.
type Actor struct {
	User   string `json:"user"` // name, or the number where there is none
	UID    uint32 `json:"uid"`
	PID    int32  `json:"pid"` // 0: no process of this host
	Daemon bool   `json:"daemon,omitempty"`
	Via    string `json:"via,omitempty"`    // how who asks over the network has proved his name: certificate or token
	Serial string `json:"serial,omitempty"` // of his certificate, in hexadecimal
	From   string `json:"from,omitempty"`   // his address and port
}

func (a Actor) String() string {
	switch {
	case a.Daemon:
		return "the daemon"
	case a.Via != "":
		return a.User + " (" + a.Via + ")"
	}
	return a.User
}
