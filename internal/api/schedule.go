package api

import "time"

// What a grace may be.
const (
	MinGrace = time.Second
	MaxGrace = 24 * time.Hour
)

// ScheduleRequest asks for one of its requests to be done at a time: At is RFC
// 3339, or what the clock of TimeZone (UTC) shows, 14:00 or 2006-01-02 14:00. It
// is done up to GraceSeconds later, and not at all when that is over. What a flip
// or a release leaves open is settled when it is scheduled: the generation that it
// goes to.
type ScheduleRequest struct {
	Act
	At           string            `json:"at"`
	TimeZone     string            `json:"time_zone,omitempty"`
	GraceSeconds float64           `json:"grace_seconds"`
	Flip         *FlipRequest      `json:"flip,omitempty"`
	FlipGroup    *GroupFlipRequest `json:"flip_group,omitempty"`
	Release      *ReleaseRequest   `json:"release,omitempty"` // that is to begin
}

// Grace gives GraceSeconds as a duration.
func (r ScheduleRequest) Grace() time.Duration {
	return time.Duration(r.GraceSeconds * float64(time.Second))
}

func (r ScheduleRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	asked := 0
	for _, there := range []bool{r.Flip != nil, r.FlipGroup != nil, r.Release != nil} {
		if there {
			asked++
		}
	}
	switch g := r.Grace(); {
	case r.At == "":
		return Errorf(Usage, "at: missing")
	case g < MinGrace || g > MaxGrace:
		return Errorf(Usage, "a grace of %s: want %s to %s", g, MinGrace, MaxGrace)
	case asked != 1:
		return Errorf(Usage, "want one of flip, flip_group and release")
	case r.Flip != nil:
		return r.Flip.validate()
	case r.Release != nil && r.Release.Do != ReleaseStart:
		return Errorf(Usage, "do %q: only a release that begins can be scheduled", r.Release.Do)
	case r.Release != nil:
		return r.Release.validate()
	}
	return r.FlipGroup.validate()
}

// SchedulesRequest asks for what is scheduled, of Service or of all.
type SchedulesRequest struct {
	Service string `json:"service,omitempty"`
}

func (SchedulesRequest) validate() error { return nil }

// UnscheduleRequest asks to take back what is scheduled: Number, or all of
// Service.
type UnscheduleRequest struct {
	Act
	Number  uint64 `json:"number,omitempty"`
	Service string `json:"service,omitempty"`
}

func (r UnscheduleRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if (r.Number == 0) == (r.Service == "") {
		return Errorf(Usage, "want a number or a service")
	}
	return nil
}

// Schedules is what is scheduled, in the order of the times.
type Schedules struct {
	Scheduled []Scheduled `json:"scheduled"`
}

// Scheduled is what shall be done later, or what became of it.
type Scheduled struct {
	Number       uint64     `json:"number"`
	Service      string     `json:"service,omitempty"`
	Group        string     `json:"group,omitempty"`
	What         string     `json:"what"`
	At           time.Time  `json:"at"`
	GraceSeconds float64    `json:"grace_seconds"`
	By           string     `json:"by"`
	Reason       string     `json:"reason,omitempty"`
	Made         time.Time  `json:"made"`
	State        string     `json:"state"`
	Detail       string     `json:"detail,omitempty"` // what became of it
	Finished     *time.Time `json:"finished,omitempty"`
}

// The states of a [Scheduled].
const (
	ScheduledPending   = "pending"
	ScheduledDone      = "done"
	ScheduledFailed    = "failed"
	ScheduledMissed    = "missed" // the daemon was away, or the clock was set over it
	ScheduledTakenBack = "taken back"
)
