package maps

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Reason is why a packet got no further or was passed to the kernel, or an event worth a count.
type Reason = bpf.ProgramReason

// reasonNames come from the object's own debug information, so that nobody writes the list twice.
var reasonNames = sync.OnceValues(func() (map[Reason]string, error) {
	spec, err := bpf.LoadProgram()
	if err != nil {
		return nil, fmt.Errorf("read the built-in object: %w", err)
	}
	var enum *btf.Enum
	if err := spec.Types.TypeByName("reason", &enum); err != nil {
		return nil, fmt.Errorf("find enum reason: %w", err)
	}
	names := map[Reason]string{}
	for _, v := range enum.Values {
		names[Reason(v.Value)] = strings.ToLower(v.Name)
	}
	return names, nil
})

// ReasonName is a reason's name in the CLI, the API and metrics: pass_…, drop_…, event_….
func ReasonName(r Reason) (string, error) {
	names, err := reasonNames()
	if err != nil {
		return "", err
	}
	return names[r], nil
}

// Reasons counts over all CPUs, by name: pass_…, drop_…, event_….
func (t *Tables) Reasons() (map[string]uint64, error) {
	names, err := reasonNames()
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for r := range bpf.ProgramReasonREASONS {
		n, err := t.Reason(r)
		if err != nil {
			return nil, err
		}
		out[names[r]] = n
	}
	return out, nil
}

// Reason counts one reason over all CPUs.
func (t *Tables) Reason(r Reason) (uint64, error) {
	var per []uint64
	if err := t.maps["reasons"].Lookup(uint32(r), &per); err != nil {
		return 0, fmt.Errorf("read the count of reason %d: %w", r, err)
	}
	var sum uint64
	for _, n := range per {
		sum += n
	}
	return sum, nil
}
