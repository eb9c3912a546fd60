package maps

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

func TestASteerWordComesBackAsItWasStored(t *testing.T) {
	tables := mustTables(t)
	rapid.Check(t, func(r *rapid.T) {
		want := Steer{
			Live: rapid.Uint16().Draw(r, "live"), Previous: rapid.Uint16().Draw(r, "previous"), Draining: rapid.Bool().Draw(r, "draining"),
		}
		tables.SetSteer(5, want)
		if got := tables.Steer(5); got != want {
			r.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// A service is written again on every reload: that is no flip.
func TestPutServiceLeavesTheSteerWordAlone(t *testing.T) {
	tables := mustTables(t)
	steer := Steer{Live: 1, Previous: 2, Draining: true}
	tables.SetSteer(1023, steer)
	want := Service{Name: "world", Forwarding: NAT, ReuseAfter: 300, ClampMSS: true, HalfOpen: 4,
		NewFlows: NewFlows{Rate: 50, Burst: 100, Bits: [2]uint8{24, 56}}}
	tables.PutService(1023, want)
	if got := tables.Steer(1023); got != steer {
		t.Errorf("steer %+v, want %+v", got, steer)
	}
	if got := tables.Services(); !maps.Equal(got, map[uint16]Service{1023: want}) {
		t.Errorf("%+v, want %+v", got, want)
	}
	must(t, tables.RemoveService(1023))
	if got := tables.Services(); len(got) != 0 || tables.Steer(1023) != (Steer{}) {
		t.Errorf("%+v is left", got)
	}
}
