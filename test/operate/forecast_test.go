package operate

import (
	"errors"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

var errEnough = errors.New("enough")

// awaitVerdict watches the drain until it comes to a verdict, and returns what it said before that with a forecast.
func (s *stage) awaitVerdict(t *testing.T, verdict string) (before, at api.DrainProgress) {
	t.Helper()
	found := make(chan error, 1)
	go func() {
		found <- s.host.Client.WatchDrain(t.Context(), api.DrainRequest{Service: service}, func(p api.DrainProgress) error {
			if at = p; p.Verdict == verdict {
				return errEnough
			}
			if p.Forecast != nil {
				before = p
			}
			return nil
		})
	}()
	select {
	case err := <-found:
		if at.Verdict != verdict {
			t.Fatalf("the drain ended (%v) with %+v, want it %s", err, at, verdict)
		}
	case <-time.After(lab.ForEver):
		t.Fatalf("the drain never was %s", verdict)
	}
	return before, at
}

// Players who come and go in seconds tell how long sessions last: while the last ones may still go as they did there is a
// forecast, and once ten have stayed for longer than that allows, the drain is stuck, and says who stays.
func TestADrainForecastsItsEndAndSaysWhenItIsStuck(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	const guests, stay = 20, 10
	for range guests {
		s.login(t, "blue").Logout()
	}
	var stays []*game.Player
	for range stay {
		stays = append(stays, s.login(t, "blue"))
	}
	s.flip(t)
	before, stuck := s.awaitVerdict(t, api.VerdictStuck)
	if f := before.Forecast; f == nil || f.Ended < 20 || f.Low.After(f.Median) || f.Median.After(f.High) || before.Verdict != api.VerdictDraining {
		t.Errorf("before it was stuck: %+v, forecast %+v", before, f)
	}
	// A guest's datagrams may not have timed out yet: he is among those who are left, too.
	if r := stuck.Rest; stuck.Left.Total < 2*stay || stuck.Evidence == "" || r == nil || r.Looked < 2*stay || len(r.Clients) != 1 || r.OldestSeconds == 0 {
		t.Errorf("stuck: %+v, rest %+v", stuck, r)
	}
	for _, p := range stays {
		p.Logout()
	}
	s.awaitVerdict(t, api.VerdictDrained)
	s.mustBeWhole(t)
}
