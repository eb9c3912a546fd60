package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// What a scene does to clients' sessions. The clock stands at 0: what was so many ticks ago was at the tick of as many
// less, but for what was just now and may not be 0, which stands for never.

func tickOf(ago int64) uint32 { return max(1, uint32(-ago)) }

// firstEnd of a session, and how long ago that was.
func (s *scene) firstEnd(f maps.Family, slot uint32) (ended bool, ago int64) {
	s.tb.Helper()
	var cold bpf.ProgramCold
	s.must(s.maps[coldName[f]].Lookup(slot, &cold))
	if cold.EndSeq <= 1 {
		return cold.EndSeq == 1, 0
	}
	return true, int64(-cold.EndSeq)
}

var coldName = [2]string{"cold4", "cold6"}

// ageSessions makes everything that a cap counts from as old as the model says.
func (s *scene) ageSessions() {
	s.tb.Helper()
	for index, e := range s.m.Services {
		s.SetFlipped(index, uint32(-e.Flipped))
	}
	for _, f := range maps.Families() {
		for id, b := range s.m.Backends[f] {
			if b.Retired {
				s.mustRetire(s.tb, f, id, b.RetiredFor)
			}
		}
		for slot, e := range s.m.Slots(int(f)) {
			if e.State == "" || !e.Ended {
				continue
			}
			var cold bpf.ProgramCold
			s.must(s.maps[coldName[f]].Lookup(uint32(slot), &cold))
			cold.EndSeq = tickOf(e.EndedFor)
			s.must(s.maps[coldName[f]].Put(uint32(slot), cold))
		}
	}
}

// retire says that a backend takes no new sessions any more, or that it does again.
func (s *scene) retire(f maps.Family, id uint16, retired bool) {
	b := s.m.Backends[f][id]
	b.Retired, b.RetiredFor = retired, 0
	weight := uint16(1)
	if retired {
		weight = 0
	}
	s.NoteBackend(f, id, weight, maps.InPool, 0)
}

// mustRetire makes it so many ticks ago that a backend stopped to take new sessions, which it did.
func (p *plane) mustRetire(tb testing.TB, f maps.Family, id uint16, ago int64) {
	tb.Helper()
	m := p.maps[[2]string{"backends4", "backends6"}[f]]
	raw := p.mustRaw(tb, f, id)
	if raw.Retired == 0 {
		tb.Fatalf("backend %d takes new sessions", id)
	}
	raw.Retired = tickOf(ago)
	if err := m.Put(uint32(id), raw); err != nil {
		tb.Fatal(err)
	}
}

// mustRaw is a backend as the kernel has it.
func (p *plane) mustRaw(tb testing.TB, f maps.Family, id uint16) (raw bpf.ProgramBackend) {
	tb.Helper()
	if err := p.maps[[2]string{"backends4", "backends6"}[f]].Lookup(uint32(id), &raw); err != nil {
		tb.Fatal(err)
	}
	return raw
}
