package api

import "time"

// GatesRequest asks for the gates of Service.
type GatesRequest struct {
	Service string `json:"service"`
}

func (r GatesRequest) validate() error { return needService(r.Service) }

// Gates are those of a service, with the newest readings of the release that
// had them last. Release is its number, 0 when none had any since the daemon
// started: then they are those of the configuration, which nobody has read.
type Gates struct {
	Service string        `json:"service"`
	Release uint32        `json:"release"`
	Gates   []GateReading `json:"gates"`
}

// GateReading is what a gate says. Value is the candidate's and Before what it
// is compared with, each nil where there is none. Where something is tested
// statistically Test names how, P is the chance of such counts where all is as
// Threshold allows, Alpha that at which a reading fails, and Power the chance
// to see, with as many sessions, twice what Threshold allows.
type GateReading struct {
	Gate      string    `json:"gate"`
	Verdict   string    `json:"verdict"`
	Value     *float64  `json:"value"`
	Before    *float64  `json:"before"`
	Threshold string    `json:"threshold"`
	Test      string    `json:"test"`
	Alpha     float64   `json:"alpha"`
	P         *float64  `json:"p"`
	Power     *float64  `json:"power"`
	Detail    string    `json:"detail"`
	OnFail    string    `json:"on_fail"`
	Final     bool      `json:"final"` // it is watched no more
	At        time.Time `json:"at"`
}
