package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// What acts change, as the journal has it.

// liveIs is of flips.
type liveIs struct {
	Live  api.GenerationRef `json:"live"`
	Group string            `json:"group,omitempty"` // that flips with it
}

func (c *Controller) liveNow(service uint16) liveIs {
	return liveIs{Live: c.ref(c.image.Services[service].Steer.Live)}
}

// shareIs is of shares.
type shareIs struct {
	Candidate      api.GenerationRef `json:"candidate"`
	TenThousandths uint16            `json:"ten_thousandths"`
}

func (c *Controller) shareNow(service uint16) shareIs {
	steer := c.image.Services[service].Steer
	return shareIs{c.ref(steer.Candidate), steer.Share}
}

// testersAre is of testers: there may be more than a line takes, so the digest stands for all of them, and of those that
// come and go the first are named.
type testersAre struct {
	Testers int      `json:"testers"`
	Digest  string   `json:"digest"`
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// mostNamed bounds lists in an event.
const mostNamed = 100

func (c *Controller) testersNow(service uint16) testersAre {
	return testersOf(c.image.Testers, service)
}

// testersOf sums up the testers of a service, in whatever order a map has them.
func testersOf(testers map[kernel.Tester]kernel.TesterOrigin, service uint16) testersAre {
	var out testersAre
	var sum [sha256.Size]byte
	for t, by := range testers {
		if t.Service != service {
			continue
		}
		out.Testers++
		for i, b := range sha256.Sum256(fmt.Appendf(nil, "%s %d", t.Prefix, by)) {
			sum[i] ^= b
		}
	}
	out.Digest = hex.EncodeToString(sum[:8])
	return out
}

func firstOf(list []string) []string { return list[:min(len(list), mostNamed)] }

// fileIs is of reloads.
type fileIs struct {
	Revision uint64       `json:"revision"` // of the desired state
	Changes  []api.Change `json:"changes,omitempty"`
	More     int          `json:"more,omitempty"` // changes that are not named
}

func changesOf(plan api.Plan) fileIs {
	named := plan.Changes[:min(len(plan.Changes), mostNamed)]
	return fileIs{Changes: named, More: len(plan.Changes) - len(named)}
}

// evictionIs is of evictions.
type evictionIs struct {
	Generation api.GenerationRef `json:"generation"`
	Client     string            `json:"client,omitempty"`
	Found      uint64            `json:"found"`
	Batch      uint32            `json:"batch,omitempty"`
	Every      float64           `json:"every_seconds,omitempty"`
	Marked     *uint64           `json:"marked,omitempty"`
	Moved      *uint64           `json:"moved,omitempty"`
}

// drainedIs is the evidence of a drain.
type drainedIs struct {
	Generation    api.GenerationRef `json:"generation"`
	Sweep         uint64            `json:"sweep"` // the number, since the daemon's start, of the one that found nothing
	NewSinceFlip  uint64            `json:"new_since_flip"`
	Reopened      uint64            `json:"reopened_since_flip"`
	SessionsMoved uint64            `json:"moved"`
}
