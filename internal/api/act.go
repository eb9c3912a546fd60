package api

import (
	"strings"
	"unicode"
)

// maxReason bounds what an actor may say of an act, and maxKey what he may call it.
const (
	maxReason = 1000
	maxKey    = 200
)

// Act is what every request for a change has. Reason is for the journal. With
// BreakLock it is done though the service is locked. A request whose Key was
// given before is not done again: it gets the first one's answer.
type Act struct {
	Reason    string `json:"reason,omitempty"`
	BreakLock bool   `json:"break_lock,omitempty"`
	Key       string `json:"key,omitempty"`
}

func (a *Act) act() *Act { return a }

func (a Act) validate() error {
	if len(a.Reason) > maxReason {
		return Errorf(Usage, "a reason of %d bytes: want %d at most", len(a.Reason), maxReason)
	}
	if len(a.Key) > maxKey || strings.ContainsFunc(a.Key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return Errorf(Usage, "key: want %d printable bytes at most", maxKey)
	}
	return nil
}

// ReloadRequest asks to apply the daemon's configuration file.
type ReloadRequest struct{ Act }

// DetachRequest asks to take everything out of the kernel.
type DetachRequest struct{ Act }
