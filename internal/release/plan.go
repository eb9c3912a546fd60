package release

import (
	"maps"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Plan is what a service's configuration says of its releases.
type Plan struct {
	Strategy Strategy      `json:"strategy"`
	Bake     time.Duration `json:"bake,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"` // of the drain, from the flip; 0: none
	Notice   *Notice       `json:"notice,omitempty"`   // nil: nobody is told
	Migrate  Migrate       `json:"migrate"`
	Steps    []Share       `json:"steps,omitempty"` // of canary
	Batch    int           `json:"batch,omitempty"` // of rolling: backends at a time
	Busy     string        `json:"busy,omitempty"`  // of in-place
	Window   time.Duration `json:"window,omitempty"`
	Hooks    []string      `json:"hooks,omitempty"` // transitions that have one
	Gates    []config.Gate `json:"gates,omitempty"`
}

// Share is a step of a canary.
type Share struct {
	Share uint16        `json:"ten_thousandths"`
	For   time.Duration `json:"for"`
}

// Migrate is how sessions are moved.
type Migrate struct {
	Batch uint32        `json:"batch"`
	Every time.Duration `json:"every"`
}

// Notice is when those who are left are told.
type Notice struct {
	At    []NoticeAt    `json:"at,omitempty"` // each once
	Every time.Duration `json:"every,omitempty"`
	Batch int           `json:"batch"` // of what is left, in one hook's call
}

// NoticeAt is a moment at which a notice is due: one of its fields says which.
type NoticeAt struct {
	Sessions uint64        `json:"sessions,omitempty"` // no more than so many are left
	Percent  int           `json:"percent,omitempty"`  // so many of those at the flip have ended
	Before   time.Duration `json:"before,omitempty"`   // the deadline
}

// PlanOf is what a service's configuration says.
func PlanOf(s config.Service) Plan {
	from := s.Release
	p := Plan{
		Strategy: Strategy(s.Strategy), Bake: from.Bake, Deadline: from.Deadline, Migrate: Migrate(from.Migrate), Batch: int(from.Batch),
		Busy: string(from.Busy), Window: from.Window, Hooks: slices.Sorted(maps.Keys(from.Hooks)),
		Gates: from.Gates,
	}
	for _, step := range from.Steps {
		p.Steps = append(p.Steps, Share(step))
	}
	if n := from.Notice; n != nil {
		p.Notice = &Notice{Every: n.Every, Batch: int(n.Batch)}
		for _, at := range n.At {
			p.Notice.At = append(p.Notice.At, NoticeAt(at))
		}
	}
	return p
}
