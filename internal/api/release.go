package api

import (
	"slices"
	"time"
)

// ReleaseRequest asks for a word of a release of Service: its start, or one of
// those that a release may be told. Number is which one, 0 for the newest.
type ReleaseRequest struct {
	Act
	Service string `json:"service"`
	Do      string `json:"do"`
	Number  uint32 `json:"number,omitempty"`
	Gate    string `json:"gate,omitempty"` // of approve
	Force   bool   `json:"force,omitempty"`
	Alone   bool   `json:"alone,omitempty"` // of release: though its group stays where it is
}

// What a [ReleaseRequest] may say.
const (
	ReleaseStart    = "release"
	ReleasePause    = "pause"
	ReleaseResume   = "resume"
	ReleaseAbort    = "abort"
	ReleaseRollback = "rollback"
	ReleaseApprove  = "approve"
	ReleaseNotice   = "notice"
)

func (r ReleaseRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	words := []string{ReleaseStart, ReleasePause, ReleaseResume, ReleaseAbort, ReleaseRollback, ReleaseApprove, ReleaseNotice}
	switch {
	case !slices.Contains(words, r.Do):
		return Errorf(Usage, "do %q: want one of %q", r.Do, words)
	case (r.Do == ReleaseApprove) != (r.Gate != ""):
		return Errorf(Usage, "gate: approve wants one, and nothing else does")
	}
	return needService(r.Service)
}

// ReleasesRequest asks for the releases of Service, or to watch one: with
// Number 0 the newest.
type ReleasesRequest struct {
	Service string `json:"service"`
	Number  uint32 `json:"number,omitempty"`
}

func (r ReleasesRequest) validate() error { return needService(r.Service) }

// Releases are those of a service that are under way or not long over, the
// newest last.
type Releases struct {
	Service  string    `json:"service"`
	Releases []Release `json:"releases"`
}

// Release is where one stands.
type Release struct {
	Number    uint32        `json:"number"`
	Service   string        `json:"service"`
	Strategy  string        `json:"strategy"`
	State     string        `json:"state"`
	StoppedIn string        `json:"stopped_in"` // of a paused or failed one: where it stood
	Since     time.Time     `json:"since"`
	Why       string        `json:"why"`   // it came into State
	Waits     string        `json:"waits"` // what keeps it there; "" when nothing does, or somebody has to say a word
	From      GenerationRef `json:"from"`
	To        GenerationRef `json:"to"`
	By        string        `json:"by"`
	Reason    string        `json:"reason"`
	Begun     time.Time     `json:"begun"`
	Flipped   *time.Time    `json:"flipped,omitempty"`
	Deadline  *time.Time    `json:"deadline,omitempty"` // of the drain
	Finished  *time.Time    `json:"finished,omitempty"`
	Left      uint64        `json:"left"`    // sessions on From, once it has flipped
	AtFlip    uint64        `json:"at_flip"` // sessions on From then
	Step      int           `json:"step"`    // of canary's steps, or rolling's batches; 1 is the first
	Steps     int           `json:"steps"`
	Notices   uint32        `json:"notices"`
	Gates     []ReleaseGate `json:"gates,omitempty"`
	Hooks     []string      `json:"hooks"`           // transitions whose hooks are to run or do
	Group     string        `json:"group,omitempty"` // it flips and goes back together with those of its other services
	Over      bool          `json:"over"`
	Done      bool          `json:"done"` // of a stream: the last progress
}

// ReleaseGate is the newest reading of a gate that a release watches.
type ReleaseGate struct {
	Gate    string `json:"gate"`
	Verdict string `json:"verdict"` // pass, fail, pending or unknown
	OnFail  string `json:"on_fail"` // rollback, pause or tell
	Detail  string `json:"detail"`
}

// Verification is what has to hold before a flip, with figures.
type Verification struct {
	Service string        `json:"service"`
	From    GenerationRef `json:"from"`
	To      GenerationRef `json:"to"`
	OK      bool          `json:"ok"`
	Checks  []Check       `json:"checks"`
}

// Check is one thing that has to hold.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
	Unknown bool   `json:"unknown,omitempty"` // nobody could look; that is no reason to refuse
}

// ReleasePlan is what a release would do, with what is known now.
type ReleasePlan struct {
	Verification
	Strategy string        `json:"strategy"`
	Steps    []ReleaseStep `json:"steps"`
}

// ReleaseStep is one state that a release comes through.
type ReleaseStep struct {
	State string   `json:"state"`
	What  string   `json:"what"`
	Hooks []string `json:"hooks,omitempty"` // what is run, without its arguments
}
