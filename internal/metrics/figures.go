package metrics

import (
	"context"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Source is where the figures come from. A scrape asks once.
type Source interface {
	Figures(ctx context.Context) (Figures, error)
}

// Figures is what the kernel counts, and what the last sweep found.
type Figures struct {
	Generations []Generation // of all services, in the order in which they are shown
	Backends    int          // of all generations; more than [MaxBackends] are not listed
	Reasons     map[string]uint64
	Tables      []Table
	MaxFlows    uint32
	Interfaces  []api.Interface

	Releases []Release
	Gates    []Gate

	SweepSeconds float64
	LastSweep    time.Time // zero: none yet
	ClockSet     time.Duration
}

// Table is the flow table of one family.
type Table struct {
	api.Table
	LongestProbe int // lines that the lookup of a flow visits at most
}

// Generation is one generation of a service. Of its backends only addresses,
// ports, sessions and counts are shown.
type Generation struct {
	Service string
	api.Generation
}

// Release is the newest of a service.
type Release struct {
	Service, State, Strategy string
	Number                   uint32
	Since                    time.Time // in State
}

// Gate is one of the newest release that had any, with its newest reading.
type Gate struct {
	Service string
	Release uint32
	api.GateReading
}

// MaxBackends bounds the series: with more backends none has series of its own.
const MaxBackends = 10_000
