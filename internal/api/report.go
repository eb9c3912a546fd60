package api

import "time"

// ReportRequest asks what a release of Service did. Release is which one, 0 for the newest, or for the newest flip by hand
// where that came later.
type ReportRequest struct {
	Service string `json:"service"`
	Release uint32 `json:"release,omitempty"`
}

func (r ReportRequest) validate() error { return needService(r.Service) }

// Report is what a release did, from the journal and from what was counted meanwhile.
type Report struct {
	Service  string        `json:"service"`
	Release  uint32        `json:"release"` // 0: a flip by hand
	Strategy string        `json:"strategy"`
	State    string        `json:"state"` // where it stands, or how it ended
	Why      string        `json:"why"`
	From     GenerationRef `json:"from"`
	To       GenerationRef `json:"to"`
	By       string        `json:"by"`
	Reason   string        `json:"reason"`
	Begun    time.Time     `json:"begun"`
	Flipped  *time.Time    `json:"flipped,omitempty"`
	Drained  *time.Time    `json:"drained,omitempty"` // From, by the kernel's count
	Finished *time.Time    `json:"finished,omitempty"`

	AtFlip     *uint64 `json:"at_flip,omitempty"`     // sessions on From when it was flipped away from
	NewOnOld   *uint64 `json:"new_on_old,omitempty"`  // new sessions on From since the flip: must be 0
	Reopened   *uint64 `json:"reopened,omitempty"`    // SYNs on established flows of From since the flip
	Moved      *uint64 `json:"moved,omitempty"`       // sessions taken from From
	FirstEvent uint64  `json:"first_event,omitempty"` // of the journal
	LastEvent  uint64  `json:"last_event,omitempty"`  // of the journal
	Unread     uint64  `json:"unread,omitempty"`      // events of another version, of which nothing is told

	Timeline  []ReportEntry    `json:"timeline"`
	Sessions  []ReportSeries   `json:"sessions"`
	Gates     []ReportGate     `json:"gates"`
	Hooks     []ReportHook     `json:"hooks"`
	Forecasts []ReportForecast `json:"forecasts"`
}

// ReportEntry is one thing that was done. Outcome is begun, done, failed, or "" for what is over at once.
type ReportEntry struct {
	Event   uint64    `json:"event"` // number in the journal
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Act     string    `json:"act"`
	What    string    `json:"what"`
	Outcome string    `json:"outcome"`
	Seconds float64   `json:"seconds"` // until its outcome
	Reason  string    `json:"reason"`  // that was given, or why it failed
}

// ReportSeries is how many sessions a generation had over time.
type ReportSeries struct {
	Generation GenerationRef `json:"generation"`
	Points     []ReportPoint `json:"points"`
}

// ReportPoint is a count at a moment.
type ReportPoint struct {
	At       time.Time `json:"at"`
	Sessions uint64    `json:"sessions"`
	New      uint64    `json:"new"` // that ever were
}

// ReportGate is what a gate said, the last time that it said something else.
type ReportGate struct {
	Gate      string    `json:"gate"`
	At        time.Time `json:"at"`
	Verdict   string    `json:"verdict"`
	Value     *float64  `json:"value"`
	Before    *float64  `json:"before"`
	Threshold string    `json:"threshold"`
	Test      string    `json:"test"`
	P         *float64  `json:"p"`
	Power     *float64  `json:"power"`
	Detail    string    `json:"detail"`
}

// ReportHook is a hook that was run.
type ReportHook struct {
	At         time.Time `json:"at"`
	Transition string    `json:"transition"`
	Hook       string    `json:"hook"`
	Outcome    string    `json:"outcome"` // begun, done or failed
	Attempts   int       `json:"attempts"`
	Seconds    float64   `json:"seconds"`
	Output     string    `json:"output"`
	Reason     string    `json:"reason"` // why it failed
}

// ReportForecast is what was said while it drained, against what came.
type ReportForecast struct {
	At         time.Time `json:"at"`
	Left       uint64    `json:"left"`
	Said       time.Time `json:"said"`        // when it would be empty
	OffSeconds *float64  `json:"off_seconds"` // how much later than that it was; nil: it is not empty yet
}
