package gate

import (
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Verdict of a gate.
type Verdict string

// The verdicts. A release goes on with a pass only, and only a failure stops it.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Pending Verdict = "pending" // it can't be told yet
	Unknown Verdict = "unknown" // who is asked does not answer
)

// Reading is what a gate says at a moment.
type Reading struct {
	Gate      string        `json:"gate"`
	Verdict   Verdict       `json:"verdict"`
	Value     *float64      `json:"value"`     // of the candidate; nil: there is none
	Before    *float64      `json:"before"`    // what it is compared with; nil: with nothing
	Threshold string        `json:"threshold"` // in words; empty: none
	Test      string        `json:"test"`      // its name; empty: nothing is tested
	Alpha     float64       `json:"alpha"`     // at which this reading may fail
	P         *float64      `json:"p"`         // of the test
	Power     *float64      `json:"power"`     // with these counts, to see twice what the threshold allows
	Detail    string        `json:"detail"`
	OnFail    config.OnFail `json:"on_fail"`
	Final     bool          `json:"final"` // the gate is watched no more
	At        time.Time     `json:"at"`
}

func number(n float64) *float64 { return &n }
