package maps

import (
	"testing"

	"pgregory.net/rapid"
)

// The fields of a meta word do not reach into each other, and only seen changes when only seen is changed.
func TestAMetaWordsFieldsAreApart(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := Meta(rapid.Uint64().Draw(r, "meta"))
		tick := rapid.Uint32().Draw(r, "tick")
		n := m.WithSeen(tick)
		if n.Seen() != tick&TickMask {
			r.Fatalf("seen is %d, want %d", n.Seen(), tick&TickMask)
		}
		if n.State() != m.State() || n.Fin() != m.Fin() || n.Age() != m.Age() || n.Tag() != m.Tag() || n.Backend() != m.Backend() {
			r.Fatalf("%#x became %#x", m, n)
		}
		rebuilt := Meta(m.State()) | Meta(m.Age())<<4 | Meta(m.Tag())<<8 | Meta(m.Backend())<<22 | Meta(m.Seen())<<38
		if m.Fin() {
			rebuilt |= 1 << 3
		}
		if rebuilt != m {
			r.Fatalf("%#x is not the sum of its fields, %#x", m, rebuilt)
		}
	})
}

func TestEveryStateHasAName(t *testing.T) {
	seen := map[string]bool{}
	for s := Free; s <= Closing; s++ {
		if name := StateName(s); name == "" || seen[name] {
			t.Errorf("state %d is named %q", s, name)
		}
		seen[StateName(s)] = true
	}
}
