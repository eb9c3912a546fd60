// Package maps gives every BPF map of the data plane a typed view in Go. It is the only package that knows layouts of
// keys and values and their byte order: addresses and ports go in and out as netip values and host integers.
//
// Everything that the data plane reads while it changes is written by single aligned stores into mapped memory, or by
// replacing an inner map; what each method may tear is said there.
package maps

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
)

// Limits of the maps. Ids begin at 1: 0 is never valid.
const (
	MaxBackends    = int(bpf.ProgramLimitMAX_BACKENDS)
	OwnCounters    = int(bpf.ProgramLimitOWN_COUNTERS) // backends with an id below count their packets by themselves
	MaxGenerations = int(bpf.ProgramLimitMAX_GENERATIONS)
	MaxServices    = int(bpf.ProgramLimitMAX_SERVICES)
	MaxVIPs        = int(bpf.ProgramLimitMAX_VIPS)
	MaxListeners   = int(bpf.ProgramLimitMAX_LISTENERS)
	MaxSockets     = int(bpf.ProgramLimitSOCKETS) // of listeners, and of replies, of each family
	MaxIfaces      = uint32(bpf.ProgramLimitMAX_IFACES)
	Slots          = uint32(bpf.ProgramLimitSLOTS_PER_LINE)
	NameLen        = int(bpf.ProgramLimitNAME_LEN)
)

// Family is IPv4 or IPv6: flow tables, backends and Maglev tables exist once for each.
type Family = bpf.ProgramFamily

const (
	IPv4 = bpf.ProgramFamilyFAMILY_IPV4
	IPv6 = bpf.ProgramFamilyFAMILY_IPV6
)

// Families in the order in which they are walked.
var families = [...]Family{IPv4, IPv6}

// Families lists both families.
func Families() [2]Family { return families }

// Tables is the set of maps of one data plane, with the mapped ones mapped. It is safe for concurrent use as far as
// each method says so.
type Tables struct {
	maps map[string]*ebpf.Map

	mapped      [][]byte
	services    []bpf.ProgramService
	generations []bpf.ProgramGeneration
	backends    [2][]bpf.ProgramBackend
	lines       [2][]byte
	layouts     [2]Layout
	cold        [2][]bpf.ProgramCold
	sessions    []bpf.ProgramSessions
	tallies     []bpf.ProgramTally
	globals     *bpf.ProgramShared // the program's variables, in its .bss map
	swept       uint32             // tick at which the last complete sweep began
}

// New takes the maps of a loaded collection, by their names in C. It does not take ownership of them: Close unmaps, and
// leaves the maps open. vars locates the variables of the .bss map, and layouts the words of the flow tables.
func New(maps map[string]*ebpf.Map, vars Variables, layouts [2]Layout) (*Tables, error) {
	t := &Tables{maps: maps, layouts: layouts}
	err := errors.Join(
		view(t, "services", &t.services),
		view(t, "generations", &t.generations),
		view(t, "backends4", &t.backends[IPv4]),
		view(t, "backends6", &t.backends[IPv6]),
		t.viewLines(IPv4, "flows4"),
		t.viewLines(IPv6, "flows6"),
		view(t, "cold4", &t.cold[IPv4]),
		view(t, "cold6", &t.cold[IPv6]),
		view(t, "session_counts", &t.sessions),
		view(t, "tallies", &t.tallies),
		t.viewGlobals(vars),
		t.stampListeners(),
	)
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close unmaps everything. Using the Tables afterwards is a fault.
func (t *Tables) Close() error {
	var errs []error
	for _, mem := range t.mapped {
		errs = append(errs, unix.Munmap(mem))
	}
	t.mapped = nil
	return errors.Join(errs...)
}

// Map returns a map by its name in C, or nil: for pinning and for information, not for writing.
func (t *Tables) Map(name string) *ebpf.Map { return t.maps[name] }

// mapMemory maps a map of the kind BPF_F_MMAPABLE.
func (t *Tables) mapMemory(name string) ([]byte, *ebpf.Map, error) {
	m := t.maps[name]
	if m == nil {
		return nil, nil, fmt.Errorf("map %s: not among the maps given", name)
	}
	stride := (int(m.ValueSize()) + 7) / 8 * 8
	size := (stride*int(m.MaxEntries()) + unix.Getpagesize() - 1) / unix.Getpagesize() * unix.Getpagesize()
	mem, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map the memory of %s: %w", name, err)
	}
	t.mapped = append(t.mapped, mem)
	return mem, m, nil
}

// view maps an array as a slice of its values. The kernel rounds values to 8 bytes; so must T be.
func view[T any](t *Tables, name string, out *[]T) error {
	mem, m, err := t.mapMemory(name)
	if err != nil {
		return err
	}
	var zero T
	if size := unsafe.Sizeof(zero); uintptr(m.ValueSize()) != size || size%8 != 0 {
		return fmt.Errorf("map %s: its values have %d bytes, this build expects %d", name, m.ValueSize(), size)
	}
	*out = unsafe.Slice((*T)(unsafe.Pointer(&mem[0])), m.MaxEntries())
	return nil
}

// viewLines maps a flow table, whose lines are read through its layout.
func (t *Tables) viewLines(f Family, name string) error {
	mem, m, err := t.mapMemory(name)
	if err != nil {
		return err
	}
	l := t.layouts[f]
	if m.ValueSize() != l.LineBytes || m.MaxEntries() != LinesOf(l) {
		return fmt.Errorf("map %s: %d lines of %d bytes, its program says %d of %d", name, m.MaxEntries(), m.ValueSize(), LinesOf(l), l.LineBytes)
	}
	t.lines[f] = mem
	return nil
}
