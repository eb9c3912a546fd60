package storm

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Course is what a race is run on: a service, by its index in the load balancer's own map, and the steer words that it
// gets in turn. MACs are where each of two CPUs sends to.
type Course struct {
	Services *ebpf.Map
	Service  uint16
	Steer    [2]uint64
	MACs     [2][6]byte
}

// NewRace loads the programs with the load balancer's services, which [Storm.Race] flips. The caller closes it.
func NewRace(c Course) (*Storm, error) {
	s, err := load(c.Services)
	if err != nil {
		return nil, err
	}
	if err := s.programs.Courses.Put(uint32(0), ProgramCourse{Steer: c.Steer, Service: uint32(c.Service), Mac: c.MACs}); err != nil {
		return nil, fmt.Errorf("set the course: %w", err)
	}
	return s, nil
}

// Witness is the program that stands behind the load balancer and looks which backend each flow goes to.
func (s *Storm) Witness() *ebpf.Program { return s.programs.Witness }

// Race sends that many packets from an interface, of a few flows at once: those of the CPU that calls it, in the
// interface's namespace, and of all others that race at the same time.
func (s *Storm) Race(index, packets int) error { return s.run(s.programs.Race, index, packets) }

// Finish is what a race has come to.
type Finish struct {
	Packets uint64 // that came out behind the load balancer
	Astray  uint64 // of them, those that went elsewhere than an earlier one of their flow
	Flips   uint64
}

// Finish reads it.
func (s *Storm) Finish() (f Finish, err error) {
	for of, n := range map[ProgramCount]*uint64{
		ProgramCountWITNESSED: &f.Packets, ProgramCountASTRAY: &f.Astray, ProgramCountFLIPS: &f.Flips,
	} {
		if *n, err = s.count(of); err != nil {
			return Finish{}, err
		}
	}
	return f, nil
}
