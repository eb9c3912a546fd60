// Package state keeps what has to outlive a reboot, when nothing is pinned in
// bpffs any more: which generation of each service is live, which are staged,
// and which number the next one gets. While the machine is up, the kernel is
// the truth and this file is its copy.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
)

// State is the whole content of the state file. The zero State is what a
// machine has that never ran ebbtide.
type State struct {
	Revision uint64             `json:"revision"`
	Salt     uint64             `json:"salt,string"` // of steering by affinity
	Services map[string]Service `json:"services"`
	Freeze   []Freeze           `json:"freeze,omitempty"` // windows of the configuration that was applied last

	// GroupFlip has the generation that each service of a group goes to by the
	// newest flip, when that was of a group. After a crash all of it is made, or none.
	GroupFlip map[string]uint32 `json:"group_flip,omitempty"`

	Schedule     []Scheduled `json:"schedule,omitempty"` // what shall be done later, and what became of the last ones
	NextSchedule uint64      `json:"next_schedule,omitempty"`
}

// Scheduled is a request that somebody made for later.
type Scheduled struct {
	Number   uint64            `json:"number"`
	Verb     string            `json:"verb"` // of the API
	Request  json.RawMessage   `json:"request"`
	Service  string            `json:"service,omitempty"`
	Group    string            `json:"group,omitempty"`
	Targets  map[string]uint32 `json:"targets"` // generation that each service shall go to
	At       time.Time         `json:"at"`
	Grace    time.Duration     `json:"grace"` // done up to this much later
	Actor    journal.Actor     `json:"actor"`
	Reason   string            `json:"reason,omitempty"`
	Made     time.Time         `json:"made"`
	Outcome  string            `json:"outcome,omitempty"` // "": it is still to be done
	Detail   string            `json:"detail,omitempty"`
	Finished time.Time         `json:"finished,omitzero"`
}

// Service is what is known of one service.
type Service struct {
	Live           uint32       `json:"live"`     // generation that takes new sessions, 0: none yet
	Previous       uint32       `json:"previous"` // live before that, 0: none
	NextGeneration uint32       `json:"next_generation"`
	Generations    []Generation `json:"generations"`

	Testers []netip.Prefix `json:"testers,omitempty"` // that the operator named; those of the file are in the file
	Share   *Share         `json:"share,omitempty"`   // of the candidate; nil: none was set
	Lock    *Lock          `json:"lock,omitempty"`    // nil: nobody locked it
	Group   string         `json:"group,omitempty"`   // of the configuration that was applied last
	Closed  Closed         `json:"closed,omitempty"`  // "": it takes new sessions

	Releases    []release.Record `json:"releases,omitempty"` // those under way, and the last ones that are over
	NextRelease uint32           `json:"next_release,omitempty"`
	Stable      uint32           `json:"stable,omitempty"` // generation that last passed its bake; 0: none
	Staged      []Staged         `json:"staged,omitempty"` // pools that were given at run time
}

// Closed is what a service that takes no new sessions tells whoever begins one.
type Closed string

// The answers.
const (
	ClosedByReset Closed = "reset"
	ClosedByICMP  Closed = "icmp"
)

// Lock keeps everybody from changing a service until its time is over.
type Lock struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// Freeze is a window that comes back, in which services are not changed. Those
// of a file that was applied hold until the next one is, whatever the file says
// meanwhile.
type Freeze struct {
	Services []string      `json:"services,omitempty"` // none: all
	Cron     string        `json:"cron"`
	For      time.Duration `json:"for"`
	TimeZone string        `json:"time_zone"`
	Reason   string        `json:"reason"`
}

// Share is how many clients a candidate has, and what the kernel had counted
// when that was last set.
type Share struct {
	Generation     uint32    `json:"generation"` // the candidate
	TenThousandths uint16    `json:"ten_thousandths"`
	Since          time.Time `json:"since"`
	OnCandidate    uint64    `json:"on_candidate"` // new sessions
	OnLive         uint64    `json:"on_live"`
}

// Staged is a pool that was given at run time, and stands in place of the
// file's.
type Staged struct {
	Colour  string `json:"colour"`
	Version string `json:"version"`
	Was     string `json:"was,omitempty"` // the file's version there then
	Pool    string `json:"pool"`          // YAML
}

// Generation is one version deployed into a pool. Colour is empty once
// another generation has taken its slot.
type Generation struct {
	Number  uint32 `json:"number"`
	Colour  string `json:"colour,omitempty"`
	Version string `json:"version"`
}

// Same says whether two states would be written as the same file, but for the
// revision. It compares what is written, so that no field can be forgotten.
func (s State) Same(other State) bool {
	s.Revision = other.Revision
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// validate refuses what no sequence of flips and reloads leads to.
func (s State) validate() error {
	for name, service := range s.Services {
		if err := service.validate(); err != nil {
			return fmt.Errorf("service %q: %w", name, err)
		}
	}
	return nil
}

func (s Service) validate() error {
	if newest := max(s.Live, s.Previous); newest != 0 && newest >= s.NextGeneration {
		return fmt.Errorf("next generation %d is not over live %d and previous %d", s.NextGeneration, s.Live, s.Previous)
	}
	numbers, colours := map[uint32]bool{}, map[string]bool{}
	for _, g := range s.Generations {
		switch {
		case g.Number == 0 || g.Number >= s.NextGeneration:
			return fmt.Errorf("generation %d is not between 0 and the next one, %d", g.Number, s.NextGeneration)
		case numbers[g.Number]:
			return fmt.Errorf("generation %d is listed twice", g.Number)
		case g.Colour != "" && colours[g.Colour]:
			return fmt.Errorf("two generations are %s", g.Colour)
		}
		numbers[g.Number], colours[g.Colour] = true, true
	}
	if s.Live != 0 && !numbers[s.Live] {
		return errors.New("the live generation is not listed")
	}
	if slices.ContainsFunc(s.Testers, func(p netip.Prefix) bool { return !p.IsValid() || p != p.Masked() }) {
		return errors.New("a tester is no prefix, or has bits behind its length")
	}
	if s.Closed != "" && s.Closed != ClosedByReset && s.Closed != ClosedByICMP {
		return fmt.Errorf("closed by %q: want %s or %s", s.Closed, ClosedByReset, ClosedByICMP)
	}
	if s.Share != nil && s.Share.TenThousandths > 10_000 {
		return fmt.Errorf("a share of %d ten-thousandths is more than all", s.Share.TenThousandths)
	}
	for _, r := range s.Releases {
		if r.Number == 0 || r.Number >= s.NextRelease {
			return fmt.Errorf("release %d is not between 0 and the next one, %d", r.Number, s.NextRelease)
		}
	}
	return nil
}
