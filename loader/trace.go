package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/ebbtide/ebbtide/loader/trace"
)

// ErrOtherBuild: the program in the kernel is not this loader's, or an upgrade to it was cut short.
var ErrOtherBuild = errors.New("the program in the kernel is of another build, or being replaced; reload first")

// Tracer is what a tracer is loaded from: it takes the verifier's time, in which the data plane may be closed or replaced.
type Tracer struct {
	spec *ebpf.CollectionSpec
	maps map[string]*ebpf.Map
}

// Tracer prepares a tracer of the program in the kernel. Load is to follow.
func (p *Plane) Tracer() (*Tracer, error) {
	if p.config.Build != buildOf(p.spec) || p.config.Previous != 0 {
		return nil, ErrOtherBuild
	}
	t := &Tracer{spec: p.spec, maps: map[string]*ebpf.Map{}}
	for name, m := range p.maps {
		clone, err := m.Clone()
		if err != nil {
			t.close()
			return nil, fmt.Errorf("clone map %s: %w", name, err)
		}
		t.maps[name] = clone
	}
	return t, nil
}

// Load loads the tracer, attached to nothing. It is called once, and needs the data plane no more.
func (t *Tracer) Load(opt trace.Options) (*trace.Trace, error) {
	defer t.close()
	return trace.Load(t.spec, t.maps, opt)
}

func (t *Tracer) close() {
	for _, m := range t.maps {
		m.Close()
	}
}

// Trace puts a tracer in the program's place on every interface that it is attached to now, each in one step. It runs on
// the same maps and forwards the same. Untrace takes it away again, and so does an upgrade. What a daemon leaves that is
// killed goes on forwarding until the next one calls Untrace.
func (p *Plane) Trace(t *trace.Trace) error {
	return p.moveLinks(t.Program(), func(string) {})
}

// Untrace makes every link run the program itself, in one step each. One that does already is not touched.
func (p *Plane) Untrace() error {
	err := p.eachLink(func(_ string, l link.Link) error { return update(l, p.program) })
	if err != nil {
		return fmt.Errorf("give the links back to the program: %w", err)
	}
	return nil
}
