package loader

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

// MapObject is a map in the kernel, without what is in it.
type MapObject struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	KeySize    uint32 `json:"key_size"`
	ValueSize  uint32 `json:"value_size"`
	MaxEntries uint32 `json:"max_entries"`
	Flags      uint32 `json:"flags"`
	Bytes      uint64 `json:"bytes"` // by the kernel's own account
}

// ProgramObject is a program in the kernel.
type ProgramObject struct {
	Pin                  string        `json:"pin"`
	Name                 string        `json:"name"`
	Type                 string        `json:"type"`
	ID                   uint32        `json:"id"`
	Tag                  string        `json:"tag"`
	LoadedSinceBoot      time.Duration `json:"loaded_since_boot"`
	VerifiedInstructions uint32        `json:"verified_instructions"`
	Bytes                uint64        `json:"bytes"`
}

// Objects are the maps and programs that are pinned.
func (p *Plane) Objects() (tables []MapObject, programs []ProgramObject, err error) {
	for _, name := range slices.Sorted(maps.Keys(p.maps)) {
		info, err := p.maps[name].Info()
		if err != nil {
			return nil, nil, fmt.Errorf("inspect map %s: %w", name, err)
		}
		m := MapObject{
			Name: name, Type: info.Type.String(), KeySize: info.KeySize, ValueSize: info.ValueSize, MaxEntries: info.MaxEntries, Flags: info.Flags,
		}
		m.Bytes, _ = info.Memlock() // 0 where the kernel does not say
		tables = append(tables, m)
	}
	dir := filepath.Join(p.dir, programsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list pinned programs: %w", err)
	}
	for _, e := range entries {
		o, err := programObject(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, nil, err
		}
		programs = append(programs, o)
	}
	slices.SortFunc(programs, func(a, b ProgramObject) int { return cmp.Compare(a.Pin, b.Pin) })
	return tables, programs, nil
}

func programObject(pin string) (ProgramObject, error) {
	prog, err := ebpf.LoadPinnedProgram(pin, nil)
	if err != nil {
		return ProgramObject{}, fmt.Errorf("open program %s: %w", pin, err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return ProgramObject{}, fmt.Errorf("inspect program %s: %w", pin, err)
	}
	o := ProgramObject{Pin: filepath.Base(pin), Name: info.Name, Type: info.Type.String(), Tag: info.Tag}
	if id, ok := info.ID(); ok {
		o.ID = uint32(id)
	}
	o.LoadedSinceBoot, _ = info.LoadTime() // each is 0 where the kernel does not say
	o.VerifiedInstructions, _ = info.VerifiedInstructions()
	o.Bytes, _ = info.Memlock()
	return o, nil
}
