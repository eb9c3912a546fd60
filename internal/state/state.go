// Package state keeps what has to outlive a reboot, when nothing is pinned in
// bpffs any more: which generation of each service is live, which are staged,
// and which number the next one gets. While the machine is up, the kernel is
// the truth and this file is its copy.
package state

import (
	"errors"
	"fmt"
)

// State is the whole content of the state file. The zero State is what a
// machine has that never ran ebbtide.
type State struct {
	Revision uint64             `json:"revision"`
	Salt     uint64             `json:"salt,string"` // of steering by affinity
	Services map[string]Service `json:"services"`
}

// Service is what is known of one service.
type Service struct {
	Live           uint32       `json:"live"`     // generation that takes new sessions, 0: none yet
	Previous       uint32       `json:"previous"` // live before that, 0: none
	NextGeneration uint32       `json:"next_generation"`
	Generations    []Generation `json:"generations"`
}

// Generation is one version deployed into a pool. Colour is empty once
// another generation has taken its slot.
type Generation struct {
	Number  uint32 `json:"number"`
	Colour  string `json:"colour,omitempty"`
	Version string `json:"version"`
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
	return nil
}
