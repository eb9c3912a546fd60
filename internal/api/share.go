package api

import (
	"strconv"
	"time"
)

// AllClients is the share of all clients, in ten-thousandths.
const AllClients = 10_000

// ShareRequest asks for the share of clients that the candidate of Service has,
// after it was set when TenThousandths is not nil. Force gives a share to a
// candidate without a usable backend, too.
type ShareRequest struct {
	Act
	Service        string  `json:"service"`
	TenThousandths *uint16 `json:"ten_thousandths,omitempty"`
	Force          bool    `json:"force,omitempty"`
}

func (r ShareRequest) validate() error {
	if err := r.Act.validate(); err != nil {
		return err
	}
	if r.TenThousandths != nil && *r.TenThousandths > AllClients {
		return Errorf(Usage, "share of %d ten-thousandths: want 0 to %d", *r.TenThousandths, AllClients)
	}
	return needService(r.Service)
}

// Share is which part of a service's clients goes where.
type Share struct {
	Service string        `json:"service"`
	Live    GenerationRef `json:"live"`
	Canary
}

// Canary is what a candidate has of a service's new sessions. Testers are
// prefixes, whose clients go to it whatever the share. Since is when the share
// was last set, nil when it never was; the new sessions are those since then,
// and Realised is the part of them that the candidate got, in percent, nil
// while there are none.
type Canary struct {
	Candidate      GenerationRef `json:"candidate"`
	TenThousandths uint16        `json:"ten_thousandths"`
	Testers        int           `json:"testers"`
	Since          *time.Time    `json:"since"`
	NewOnCandidate uint64        `json:"new_on_candidate"`
	NewOnLive      uint64        `json:"new_on_live"`
	Realised       *float64      `json:"realised_percent"`
}

// Percent writes ten-thousandths as 5% or 0.25%.
func Percent(tenThousandths uint16) string {
	return strconv.FormatFloat(float64(tenThousandths)/100, 'f', -1, 64) + "%"
}
