package datapath

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
)

// shelf keeps data planes that a test is done with: the verifier takes a second for each, setting one back takes a
// millisecond.
var shelf planes

type planes struct {
	mu   sync.Mutex
	free map[options][]*plane
}

func (s *planes) take(o options) *plane {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free[o])
	if n == 0 {
		return nil
	}
	p := s.free[o][n-1]
	s.free[o] = s.free[o][:n-1]
	return p
}

func (s *planes) put(o options, p *plane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.object != "" { // nobody asks for it again
		p.close()
		return
	}
	if s.free == nil {
		s.free = map[options][]*plane{}
	}
	s.free[o] = append(s.free[o], p)
}

// mustReset sets every map but maglev back to what it is after loading.
func mustReset(tb testing.TB, p *plane) {
	tb.Helper()
	for name, m := range p.maps {
		if err := resetMap(name, m); err != nil {
			tb.Fatalf("reset map %s: %v", name, err)
		}
	}
	if err := p.countTroubles(); err != nil {
		tb.Fatal(err)
	}
}

// countTroubles begins to count those of all generations anew.
func (p *plane) countTroubles() error {
	if err := resetHash(p.maps["generation_troubles"]); err != nil {
		return err
	}
	for generation := range uint16(small["generations"]) {
		if err := p.CountTroubles(generation); err != nil {
			return err
		}
	}
	return nil
}

func resetMap(name string, m *ebpf.Map) error {
	switch {
	case strings.HasPrefix(name, ".rodata"), name == "maglev": // a change of maglev waits for a grace period; putMaglev sets what differs
		return nil
	case m.Type() == ebpf.ProgramArray:
		return nil
	case m.Type() == ebpf.Hash, m.Type() == ebpf.PerCPUHash, m.Type() == ebpf.LPMTrie:
		return resetHash(m)
	case m.Type() == ebpf.PerCPUArray:
		return resetPerCPU(m)
	}
	keys := make([]uint32, m.MaxEntries())
	for i := range keys {
		keys[i] = uint32(i)
	}
	value := reflect.ArrayOf(int(m.ValueSize()), reflect.TypeFor[byte]())
	zero := reflect.MakeSlice(reflect.SliceOf(value), len(keys), len(keys)).Interface()
	_, err := m.BatchUpdate(keys, zero, nil)
	return err
}

func resetHash(m *ebpf.Map) error {
	for {
		key, err := m.NextKeyBytes(nil)
		if key == nil || err != nil {
			return err
		}
		if err := m.Delete(key); err != nil {
			return err
		}
	}
}

func resetPerCPU(m *ebpf.Map) error {
	size := (int(m.ValueSize()) + 7) / 8 * 8
	zero := make([][]byte, ebpf.MustPossibleCPU())
	for i := range zero {
		zero[i] = make([]byte, size)
	}
	var errs []error
	for i := range m.MaxEntries() {
		errs = append(errs, m.Put(i, zero))
	}
	return errors.Join(errs...)
}

// close gives a plane's maps and programs up.
func (p *plane) close() {
	_ = p.Close()
	p.program.Close()
	p.sweeper.Close()
	for _, m := range p.maps {
		m.Close()
	}
}
