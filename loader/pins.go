package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Below the plane's directory: maps/NAME, programs/NAME, links/INTERFACE.
const (
	mapsDir     = "maps"
	programsDir = "programs"
	linksDir    = "links"
)

// A directory with this suffix is half made, one with the other is complete and waits to become the plane.
const (
	buildingSuffix = "-building"
	readySuffix    = "-ready"
)

// pinName: bpffs keeps names with dots for itself.
func pinName(name string) string { return strings.ReplaceAll(name, ".", "_dot_") }

func unpinName(name string) string { return strings.ReplaceAll(name, "_dot_", ".") }

// EnsureBPFFS mounts bpffs at a directory that is not in one yet; it needs CAP_SYS_ADMIN.
func EnsureBPFFS(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && fs.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpffs at %s (as root: mount -t bpf bpf %s): %w", dir, dir, err)
	}
	return nil
}

// pinAll pins a collection's maps and programs under a new directory.
func pinAll(dir string, coll *ebpf.Collection) error {
	for _, sub := range []string{mapsDir, programsDir, linksDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("create the pin directory: %w", err)
		}
	}
	for name, m := range coll.Maps {
		// A map that is pinned elsewhere too is cloned, so that its first pin stays.
		clone, err := m.Clone()
		if err != nil {
			return fmt.Errorf("clone map %s: %w", name, err)
		}
		err = clone.Pin(filepath.Join(dir, mapsDir, pinName(name)))
		clone.Close()
		if err != nil {
			return fmt.Errorf("pin map %s: %w", name, err)
		}
	}
	for _, name := range []string{programName, sweeperName, evicterName, samplerName, importerName} {
		if err := coll.Programs[name].Pin(filepath.Join(dir, programsDir, name)); err != nil {
			return fmt.Errorf("pin program %s: %w", name, err)
		}
	}
	return nil
}

func openMaps(dir string) (map[string]*ebpf.Map, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list pinned maps: %w", err)
	}
	out := map[string]*ebpf.Map{}
	for _, e := range entries {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, e.Name()), nil)
		if err != nil {
			return nil, fmt.Errorf("open pinned map %s: %w", e.Name(), err)
		}
		out[unpinName(e.Name())] = m
	}
	return out, nil
}

func openProgram(dir, name string) (*ebpf.Program, error) {
	prog, err := ebpf.LoadPinnedProgram(filepath.Join(dir, programsDir, name), nil)
	if err != nil {
		return nil, fmt.Errorf("open pinned program %s: %w", name, err)
	}
	return prog, nil
}

// recoverPins undoes what a loader that was killed half-way left. A half-made directory never led anywhere. A complete
// one that did not take its place yet may have some of the links: they go back to the program that is in place. Either
// program has all pins, whichever point was reached (Upgrade says why).
func recoverPins(dir string) error {
	if err := os.RemoveAll(dir + buildingSuffix); err != nil {
		return fmt.Errorf("clear half-made pins: %w", err)
	}
	ready := dir + readySuffix
	if _, err := os.Stat(ready); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(dir); err == nil {
		program, err := openProgram(dir, programName)
		if err != nil {
			return err
		}
		defer program.Close()
		err = eachLinkIn(dir, func(name string, l link.Link) error { return update(l, program) })
		if err != nil {
			return fmt.Errorf("give the links back to the program in place: %w", err)
		}
	}
	if err := os.RemoveAll(ready); err != nil {
		return fmt.Errorf("clear the pins of an upgrade that did not happen: %w", err)
	}
	return nil
}
