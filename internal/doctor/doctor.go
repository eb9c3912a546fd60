// Package doctor looks at a host: whether ebbtide can run on it, and what on it would slow it down or keep a service from
// its players. It changes nothing. What it can't see it says so.
package doctor

import (
	"context"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Verdict is what a check comes to.
type Verdict string

// The verdicts. Only Fails makes the host unfit.
const (
	OK      Verdict = "ok"
	Note    Verdict = "note"    // it works, and could be better
	Fails   Verdict = "FAILS"   // it does not work
	Unknown Verdict = "unknown" // it can't be seen from here, or not by this user
)

// Finding is one of a check.
type Finding struct {
	Check   string  `json:"check"`
	On      string  `json:"on,omitempty"` // interface, or backend; "": the host
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Do      string  `json:"do,omitempty"` // what to do about it
}

// Host is what is looked at.
type Host struct {
	Root   string         // where /proc and /sys are: "/" but in tests
	BPFDir string         // where the daemon pins
	Config *config.Config // nil: there is none, and interfaces and backends are not looked at
}

// Examine makes every check. It asks backends on the links for a second at most.
func (h Host) Examine(ctx context.Context) []Finding {
	found := []Finding{h.kernel(), h.btf(), h.privileges(), h.jit(), h.memlock(), h.bpffs()}
	if h.Config == nil {
		return found
	}
	for _, name := range h.Config.Interfaces {
		found = append(found, h.iface(name)...)
	}
	found = append(found, h.rpFilter(), h.room())
	return append(found, h.backends(ctx)...)
}

// Fit says whether nothing fails.
func Fit(found []Finding) bool {
	for _, f := range found {
		if f.Verdict == Fails {
			return false
		}
	}
	return true
}
