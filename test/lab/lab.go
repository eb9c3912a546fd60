package lab

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Lab is one network: a client behind a router, the load balancer, backends.
// It is not safe for use by several goroutines while it is changed.
type Lab struct {
	// ID is the short id that everything of this lab carries.
	ID string
	// Dir is the lab's directory, for bpffs mounts, sockets and state. It goes
	// with the lab.
	Dir string
	// Client, Router, LB and Switch are the namespaces beside the backends.
	// The switch holds the bridge, and nothing that talks.
	Client, Router, LB, Switch *NS
	// Backends are in the order of the options, later ones at the end.
	Backends []*Backend

	opts   Options
	lock   *os.File
	spaces []*NS
	pass   *ebpf.Program
	polls  []link.Link
	left   objects // what was pinned or attached at Close
}

// New builds a lab, after a [Sweep] of what dead processes left. The caller
// closes it. It needs root.
func New(opts Options) (*Lab, error) {
	if err := Sweep(); err != nil {
		return nil, err
	}
	l, err := claim()
	if err != nil {
		return nil, err
	}
	l.opts = opts.withDefaults()
	if err := l.build(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Must is [New] for a test: the lab is closed with it, and whatever stays
// behind then is an error of the test.
func Must(tb testing.TB, opts Options) *Lab {
	tb.Helper()
	l, err := New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	l.CloseAfter(tb)
	return l
}

// CloseAfter closes the lab with a test. Whatever stays behind then is an error of the test.
func (l *Lab) CloseAfter(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Errorf("close lab: %v", err)
		}
		leaks, err := l.Leaks()
		if err != nil {
			tb.Errorf("leak check: %v", err)
		}
		for _, leak := range leaks {
			tb.Errorf("left behind: %s", leak)
		}
	})
}

// addNS makes one of the lab's namespaces.
func (l *Lab) addNS(role string) (*NS, error) {
	ns, err := newNS(nsPrefix + l.ID + "-" + role)
	if err != nil {
		return nil, err
	}
	l.spaces = append(l.spaces, ns)
	return ns, nil
}

// Backend is the backend of that name, or nil.
func (l *Lab) Backend(name string) *Backend {
	for _, b := range l.Backends {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// Close ends the processes started in the lab and removes everything. The
// errors it returns say what may have stayed.
func (l *Lab) Close() error {
	var errs []error
	for _, ns := range l.spaces {
		errs = append(errs, ns.halt())
	}
	left, err := l.objects()
	l.left = left
	errs = append(errs, err)
	for _, p := range l.polls {
		errs = append(errs, p.Close())
	}
	if l.pass != nil {
		errs = append(errs, l.pass.Close())
	}
	for _, ns := range l.spaces {
		errs = append(errs, ns.close())
	}
	errs = append(errs, l.release())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lab %s: %w", l.ID, err)
	}
	return nil
}
