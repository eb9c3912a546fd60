package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// ErrProtocol: the data plane in the kernel writes its slots in a way that this build does not know.
var ErrProtocol = errors.New("the flow table in the kernel is of another protocol")

// previousPrefix: the previous tables are maps of the same names with this before.
const previousPrefix = "previous_"

// Importing says what an upgrade is still importing; empty when nothing.
func (p *Plane) Importing() string {
	if p.config.Previous == 0 {
		return ""
	}
	return fmt.Sprintf("the flow tables of an earlier program, sized for %d lines", p.config.Layouts[1][maps.IPv4].Lines)
}

// Upgrade replaces the program in the kernel by this loader's, and its flow tables when they are to have another shape
// or size. Sessions go on throughout: every flow keeps its pin, and none is pinned twice while two programs run beside
// each other. A failure leaves the program that was there running and nothing else behind. Step, when set, hears of each
// kernel write before it is made.
//
// With new tables it goes in three parts. The new program comes with the old tables as its previous ones; while links
// are moved one by one, both programs pin in those. Then new flows are pinned in the new tables, and what lies in the
// previous ones is moved: by its own packets, or by the importer. Then the same program comes once more without
// previous tables. One that was cut short is finished first, whatever it was an upgrade to.
func (p *Plane) Upgrade(maxFlows uint32, step func(string)) error {
	if step == nil {
		step = func(string) {}
	}
	if p.config.Protocol != protocol {
		return fmt.Errorf("%w (%d, this build has %d); detach and start anew", ErrProtocol, p.config.Protocol, protocol)
	}
	for p.Outdated(maxFlows) {
		if p.config.Previous != 0 {
			if err := p.importAll(step); err != nil {
				return err
			}
		}
		next, err := p.nextConfig(maxFlows)
		if err != nil {
			return err
		}
		if err := p.replace(next, step); err != nil {
			return err
		}
	}
	return nil
}

// nextConfig is this build's configuration for the tables that are wanted, over those that are there.
func (p *Plane) nextConfig(maxFlows uint32) (bpf.ProgramConfig, error) {
	next, err := newConfig(p.spec, maxFlows, p.Ticks)
	if err != nil {
		return next, err
	}
	next.Seed = p.config.Seed
	next.TickShift = p.config.TickShift
	if next.Layouts[0] != p.config.Layouts[0] {
		next.Previous = 1
		next.Layouts[1] = p.config.Layouts[0]
	}
	return next, nil
}

// replace puts a program with another configuration in the place of the one that runs.
func (p *Plane) replace(next bpf.ProgramConfig, step func(string)) error {
	next.Epoch = p.config.Epoch + 1
	step("upgrade: load")
	coll, err := load(p.spec, next, p.reuse(next))
	if err != nil {
		return err
	}
	defer coll.Close()
	if err := p.prepare(coll, next); err != nil {
		return err
	}
	ready := p.dir + readySuffix
	if err := p.pinReady(coll, ready, step); err != nil {
		return errors.Join(err, os.RemoveAll(p.dir+buildingSuffix), os.RemoveAll(ready))
	}
	if err := p.moveLinks(coll.Programs[programName], step); err != nil {
		return errors.Join(err, os.RemoveAll(ready))
	}
	step("upgrade: exchange")
	if err := exchange(p.dir, ready); err != nil {
		back := p.moveLinks(p.program, func(string) {})
		return errors.Join(err, back, os.RemoveAll(ready))
	}
	step("upgrade: remove the old pins")
	if _, err := p.Barrier(); err != nil { // packets in the old program may still go on to its steps
		return err
	}
	if err := os.RemoveAll(ready); err != nil {
		return fmt.Errorf("remove the pins of the program before: %w", err)
	}
	return p.reopen()
}

// reuse says which maps the next program takes over: all, but for its constants and variables, and for flow tables that
// become the previous ones.
func (p *Plane) reuse(next bpf.ProgramConfig) map[string]*ebpf.Map {
	out := map[string]*ebpf.Map{}
	for name, m := range p.maps {
		if slices.Contains(ownMaps, name) || isPrevious(name) {
			continue
		}
		if _, known := p.spec.Maps[name]; known {
			out[name] = m
		}
	}
	if next.Previous == 0 {
		return out
	}
	for _, f := range maps.Families() {
		for _, name := range []string{flowMaps[f], coldMaps[f]} {
			out[previousPrefix+name] = out[name]
			delete(out, name)
		}
	}
	return out
}

func isPrevious(name string) bool {
	return len(name) > len(previousPrefix) && name[:len(previousPrefix)] == previousPrefix
}

// prepare fills the variables of a program that no packet meets yet.
func (p *Plane) prepare(coll *ebpf.Collection, next bpf.ProgramConfig) error {
	vars, err := maps.VariablesOf(p.spec)
	if err != nil {
		return err
	}
	t, err := maps.New(coll.Maps, vars, layouts(next))
	if err != nil {
		return err
	}
	defer t.Close()
	t.CopySettings(p.Tables)
	t.SetPinPrevious(next.Previous != 0)
	return nil
}

// pinReady pins the new program, and the links a second time, in a directory that is complete once it has its name.
func (p *Plane) pinReady(coll *ebpf.Collection, ready string, step func(string)) error {
	building := p.dir + buildingSuffix
	step("upgrade: pin")
	if err := pinAll(building, coll); err != nil {
		return err
	}
	err := p.eachLink(func(name string, l link.Link) error {
		step("upgrade: pin link " + name)
		return pinAgain(l, filepath.Join(building, linksDir, name))
	})
	if err != nil {
		return err
	}
	step("upgrade: ready")
	if err := os.Rename(building, ready); err != nil {
		return fmt.Errorf("name the new pins: %w", err)
	}
	return nil
}

// pinAgain pins a link a second time. The library would move the pin, and opening the link anew by its id takes
// CAP_SYS_ADMIN, so this asks the kernel itself (BPF_OBJ_PIN of linux/bpf.h).
func pinAgain(l link.Link, path string) error {
	raw, ok := l.(interface{ FD() int })
	if !ok {
		return fmt.Errorf("pin link again as %s: it has no file descriptor", path)
	}
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return fmt.Errorf("pin link again as %s: %w", path, err)
	}
	attr := struct {
		path  uint64
		fd    uint32
		flags uint32
	}{path: uint64(uintptr(unsafe.Pointer(name))), fd: uint32(raw.FD())}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_PIN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(name)
	runtime.KeepAlive(l)
	if errno != 0 {
		return fmt.Errorf("pin link again as %s: %w", path, errno)
	}
	return nil
}

// moveLinks makes every link run a program, each in one step. When one fails, those before it get the old one back.
func (p *Plane) moveLinks(to *ebpf.Program, step func(string)) error {
	var moved []string
	err := p.eachLink(func(name string, l link.Link) error {
		step("upgrade: move link " + name)
		if err := update(l, to); err != nil {
			return fmt.Errorf("move the link of %s to the new program: %w", name, err)
		}
		moved = append(moved, name)
		return nil
	})
	if err == nil {
		return nil
	}
	return errors.Join(err, p.eachLink(func(name string, l link.Link) error {
		for _, m := range moved {
			if m == name {
				return update(l, p.program)
			}
		}
		return nil
	}))
}

// update makes a link run a program, in one step. One whose interface went away runs nothing, and is left alone.
func update(l link.Link, program *ebpf.Program) error {
	if err := l.Update(program); err != nil && !errors.Is(err, unix.ENOLINK) {
		return err
	}
	return nil
}

func (p *Plane) eachLink(f func(name string, l link.Link) error) error {
	return eachLinkIn(p.dir, f)
}

func eachLinkIn(dir string, f func(name string, l link.Link) error) error {
	entries, err := os.ReadDir(filepath.Join(dir, linksDir))
	if err != nil {
		return fmt.Errorf("list pinned links: %w", err)
	}
	for _, e := range entries {
		l, err := link.LoadPinnedLink(filepath.Join(dir, linksDir, e.Name()), nil)
		if err != nil {
			return fmt.Errorf("open link %s: %w", e.Name(), err)
		}
		err = f(e.Name(), l)
		l.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// exchange swaps two directories of bpffs in one step.
func exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("exchange %s and %s: %w", a, b, err)
	}
	return nil
}

// reopen opens what is pinned now in the place of what was.
func (p *Plane) reopen() error {
	if err := p.Close(); err != nil {
		return err
	}
	return p.adopt()
}
