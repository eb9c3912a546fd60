package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/pin"

	"github.com/ebbtide/ebbtide/bpf"
)

// objectPrefix begins the names of the tests' own BPF objects, and of the data plane's program.
const objectPrefix = "ebbt"

// nameLength is that of the names that the kernel keeps (BPF_OBJ_NAME_LEN, less the 0 at the end).
const nameLength = 15

// ours says whether a BPF object's name is this project's: one of the data plane's, as far as the kernel keeps it, or of
// the tests' own. Names that every program has, such as .bss, tell nothing.
func ours() (func(name string) bool, error) {
	spec, err := bpf.LoadProgram()
	if err != nil {
		return nil, fmt.Errorf("read the built-in object: %w", err)
	}
	names := map[string]bool{}
	for name := range spec.Maps {
		names[name[:min(len(name), nameLength)]] = !strings.HasPrefix(name, ".")
	}
	for name := range spec.Programs {
		names[name[:min(len(name), nameLength)]] = true
	}
	return func(name string) bool { return strings.HasPrefix(name, objectPrefix) || names[name] }, nil
}

// objects are BPF objects by id. The kernel counts ids up, so an id that is
// gone does not come back as something else.
type objects struct {
	programs map[ebpf.ProgramID]bool
	maps     map[ebpf.MapID]bool
	links    map[link.ID]bool
}

// newObjects is an empty set.
func newObjects() objects {
	return objects{map[ebpf.ProgramID]bool{}, map[ebpf.MapID]bool{}, map[link.ID]bool{}}
}

// objects finds what is pinned in the lab's mounts or attached to its
// interfaces, with the maps that those programs use.
func (l *Lab) objects() (objects, error) {
	o := newObjects()
	mounts, err := mountsUnder(l.Dir, "bpf")
	errs := []error{err}
	for _, m := range mounts {
		errs = append(errs, o.addPins(m))
	}
	for _, ns := range l.spaces {
		errs = append(errs, o.addAttached(ns))
	}
	for id := range o.programs {
		errs = append(errs, o.addMapsOf(id))
	}
	return o, errors.Join(errs...)
}

// addPins adds what is pinned under a directory.
func (o objects) addPins(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || kernelsOwn(d.Name()) {
			return err
		}
		p, err := pin.Load(path, nil)
		if err != nil {
			return err
		}
		defer p.Close()
		return o.add(p)
	})
	if err != nil {
		return fmt.Errorf("pins in %s: %w", dir, err)
	}
	return nil
}

// kernelsOwn knows the iterators that a kernel with CONFIG_BPF_PRELOAD puts
// into every new bpffs. They can't be opened as pins.
func kernelsOwn(name string) bool { return name == "maps.debug" || name == "progs.debug" }

// add adds a program, map or link.
func (o objects) add(object any) error {
	switch x := object.(type) {
	case *ebpf.Program:
		info, err := x.Info()
		if err != nil {
			return err
		}
		id, _ := info.ID()
		o.programs[id] = true
	case *ebpf.Map:
		info, err := x.Info()
		if err != nil {
			return err
		}
		id, _ := info.ID()
		o.maps[id] = true
	case link.Link:
		info, err := x.Info()
		if err != nil {
			return err
		}
		o.links[info.ID] = true
		o.programs[info.Program] = true
	}
	return nil
}

// addAttached adds the XDP programs of a namespace's interfaces.
func (o objects) addAttached(ns *NS) error {
	links, err := ns.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list links of %s: %w", ns.Name, err)
	}
	for _, l := range links {
		if xdp := l.Attrs().Xdp; xdp != nil && xdp.ProgId != 0 {
			o.programs[ebpf.ProgramID(xdp.ProgId)] = true
		}
	}
	return nil
}

// addMapsOf adds the maps that a program uses.
func (o objects) addMapsOf(id ebpf.ProgramID) error {
	prog, err := ebpf.NewProgramFromID(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("program %d: %w", id, err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return fmt.Errorf("program %d: %w", id, err)
	}
	ids, _ := info.MapIDs()
	for _, m := range ids {
		o.maps[m] = true
	}
	return nil
}

// remaining drops from the set what the kernel no longer has. Maps are looked for without opening them: each close of a
// program array that nobody else holds sets its emptying off, and when one is under way already the kernel (6.18 does)
// forgets a reference.
func (o objects) remaining() {
	for id := range o.links {
		if l, err := link.NewFromID(id); err == nil {
			l.Close()
		} else if errors.Is(err, os.ErrNotExist) {
			delete(o.links, id)
		}
	}
	for id := range o.programs {
		if p, err := ebpf.NewProgramFromID(id); err == nil {
			p.Close()
		} else if errors.Is(err, os.ErrNotExist) {
			delete(o.programs, id)
		}
	}
	for id := range o.maps {
		if next, err := ebpf.MapGetNextID(id - 1); next != id && (err == nil || errors.Is(err, os.ErrNotExist)) {
			delete(o.maps, id)
		}
	}
}

// list describes the set, one line an object.
func (o objects) list() []string {
	var lines []string
	for id := range o.links {
		lines = append(lines, fmt.Sprintf("bpf link %d", id))
	}
	for id := range o.programs {
		lines = append(lines, fmt.Sprintf("bpf program %d", id))
	}
	for id := range o.maps {
		lines = append(lines, fmt.Sprintf("bpf map %d", id))
	}
	return lines
}

// projectObjects finds every program and map whose name is this project's,
// and the links of such programs.
func projectObjects() (objects, error) {
	o := newObjects()
	ours, err := ours()
	if err != nil {
		return o, err
	}
	errs := []error{o.addNamedPrograms(ours), o.addNamedMaps(ours)}
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		if info, err := it.Link.Info(); err == nil && o.programs[info.Program] {
			o.links[it.ID] = true
		}
	}
	return o, errors.Join(append(errs, it.Err())...)
}

// addNamedPrograms adds the programs whose name is this project's.
func (o objects) addNamedPrograms(ours func(string) bool) error {
	var id ebpf.ProgramID
	for {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list programs: %w", err)
		}
		id = next
		prog, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone since
		}
		if info, err := prog.Info(); err == nil && ours(info.Name) {
			o.programs[id] = true
		}
		prog.Close()
	}
}

// addNamedMaps adds the maps whose name is this project's, but for program arrays: see remaining. What such an array holds
// is found among the programs.
func (o objects) addNamedMaps(ours func(string) bool) error {
	var id ebpf.MapID
	for {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list maps: %w", err)
		}
		id = next
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue // gone since
		}
		if info, err := m.Info(); err == nil && info.Type != ebpf.ProgramArray && ours(info.Name) {
			o.maps[id] = true
		}
		m.Close()
	}
}
