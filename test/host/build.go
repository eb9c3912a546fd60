package host

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/bpf/bpfwide"
)

// Build names a data plane that a daemon brings along; the zero value is the one that ships.
type Build string

// Other builds, to upgrade to.
const (
	Another Build = "another" // of another tag, its tables of the same shape
	Wide    Build = "wide"    // with slots of another size
	Refused Build = "refused" // of another tag, and no link takes it
)

// specOf is the data plane that ships, another build, or the test build without some rules.
func specOf(opt Options) (*ebpf.CollectionSpec, error) {
	switch {
	case opt.LeaveOut != 0:
		return without(opt.LeaveOut, opt.Stall)
	case opt.Build == Another:
		return without(0, 0)
	case opt.Build == Wide:
		return bpfwide.LoadProgram()
	case opt.Build == Refused:
		spec, err := without(0, 0)
		if err == nil {
			// A link refuses a program of another attach type than the one that it runs.
			for _, p := range spec.Programs { // those that call each other have to agree in it
				if p.Type == ebpf.XDP {
					p.AttachType = ebpf.AttachXDPDevMap
				}
			}
		}
		return spec, err
	}
	return nil, nil
}

func without(rules bpftest.ProgramRule, stall uint32) (*ebpf.CollectionSpec, error) {
	spec, err := bpftest.LoadProgram()
	if err != nil {
		return nil, fmt.Errorf("read the test build: %w", err)
	}
	if err := spec.Variables["LEAVE_OUT"].Set(rules); err != nil {
		return nil, fmt.Errorf("leave rules out: %w", err)
	}
	if err := spec.Variables["STALL_LOOPS"].Set(stall); err != nil {
		return nil, fmt.Errorf("set the length of stalls: %w", err)
	}
	return spec, nil
}
