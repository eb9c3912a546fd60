package bpf

import (
	"slices"

	"github.com/cilium/ebpf"
)

// The tracer's own parts of the object, by their names in C (trace.h).
const (
	Tracer       = ProgramProgTraced
	TracerFilter = ProgramVarTRACED
	TracerRing   = ProgramMapTraceEvents
	TracerCounts = ProgramMapTraceScratches
)

var tracerMaps = []string{TracerRing, TracerCounts, ".rodata.trace"}

// IsTracers says whether a map is the tracer's and not the data plane's.
func IsTracers(name string) bool { return slices.Contains(tracerMaps, name) }

// WithoutTracer takes the tracer out of an object that is to be loaded: nothing of it is there while nobody traces.
func WithoutTracer(spec *ebpf.CollectionSpec) {
	delete(spec.Programs, Tracer)
	for _, name := range tracerMaps {
		delete(spec.Maps, name)
	}
	delete(spec.Variables, TracerFilter)
}
