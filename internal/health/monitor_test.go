package health

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/internal/config"
)

// A verdict needs so many checks in a row, and none comes twice.
func TestAVerdictNeedsSoManyInARow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Machine{Rise: rapid.IntRange(1, 4).Draw(t, "rise"), Fall: rapid.IntRange(1, 4).Draw(t, "fall")}
		outcomes := rapid.SliceOf(rapid.Bool()).Draw(t, "outcomes")
		verdict := ""
		for i, passed := range outcomes {
			row := 0
			for j := i; j >= 0 && outcomes[j] == passed; j-- {
				row++
			}
			is, need := "sick", m.Fall
			if passed {
				is, need = "well", m.Rise
			}
			want := verdict != is && row >= need
			if m.Saw(passed) != want {
				t.Fatalf("check %d of %v: changed %v, want %v", i, outcomes[:i+1], !want, want)
			}
			if want {
				verdict = is
			}
		}
	})
}

// Whoever is wanted is asked, for as long as he is, and heard of when that changes.
func TestTheMonitorTellsOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sick, heard, asked := map[string]bool{}, map[uint16][]bool{}, map[string]int{}
		m := Monitor{
			Check: func(_ context.Context, _ config.Health, a netip.Addr) error {
				mu.Lock()
				defer mu.Unlock()
				if asked[a.String()]++; sick[a.String()] {
					return errors.New("sick")
				}
				return nil
			},
			Changed: func(t Target, err error) {
				mu.Lock()
				defer mu.Unlock()
				heard[t.ID] = append(heard[t.ID], err == nil)
			},
		}
		h := &config.Health{Every: time.Second, Timeout: time.Second, Rise: 2, Fall: 3}
		one := Target{1, []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, h}
		two := Target{2, []netip.Addr{netip.MustParseAddr("10.0.0.2")}, h}
		ctx, stop := context.WithCancel(t.Context())
		m.Want([]Target{one})
		over := make(chan struct{})
		go func() { m.Run(ctx); close(over) }()
		time.Sleep(time.Minute)
		m.Want([]Target{one, two})
		mu.Lock()
		sick["fd00::1"] = true // one of its two is enough
		mu.Unlock()
		time.Sleep(time.Minute)
		if began, sick := m.Last(1); time.Since(began) > 2*time.Second || sick == nil || sick.Error() != "fd00::1: sick" {
			t.Errorf("the newest check of 1 began %s ago and found %v", time.Since(began), sick)
		}
		m.Want([]Target{two})
		synctest.Wait()
		mu.Lock()
		before := asked["10.0.0.1"]
		mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		<-over
		if len(heard[1]) != 2 || !heard[1][0] || heard[1][1] || len(heard[2]) != 1 || !heard[2][0] {
			t.Errorf("heard %v", heard)
		}
		if asked["10.0.0.1"] != before {
			t.Error("one that nobody wants is asked")
		}
	})
}

// One that is new has its verdict soon, however rarely it is asked; one that does not answer yet is given its time.
func TestANewTargetIsAskedSoon(t *testing.T) {
	for name, row := range map[string]struct {
		sick   error
		within time.Duration // so many checks and a verdict
		checks int
		heard  bool
	}{
		"that is well":     {nil, 4 * time.Second, 3, true},
		"that is starting": {errors.New("refused"), time.Minute, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				checks, heard := 0, false
				m := Monitor{
					Check:   func(context.Context, config.Health, netip.Addr) error { checks++; return row.sick },
					Changed: func(Target, error) { heard = true },
				}
				m.Want([]Target{{1, []netip.Addr{netip.MustParseAddr("10.0.0.1")}, &config.Health{Every: time.Hour, Timeout: time.Second, Rise: 3, Fall: 2}}})
				ctx, stop := context.WithCancel(t.Context())
				over := make(chan struct{})
				go func() { m.Run(ctx); close(over) }()
				time.Sleep(row.within)
				synctest.Wait()
				if checks != row.checks || heard != row.heard {
					t.Errorf("after %s it was asked %d times, with a verdict: %v", row.within, checks, heard)
				}
				stop()
				<-over
			})
		})
	}
}

// A check that is asked for does not wait until it is due.
func TestACheckThatIsAskedForComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Monitor{Check: func(context.Context, config.Health, netip.Addr) error { return nil }, Changed: func(Target, error) {}}
		m.Want([]Target{{1, []netip.Addr{netip.MustParseAddr("10.0.0.1")}, &config.Health{Every: time.Hour, Timeout: time.Second, Rise: 1, Fall: 1}}})
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { m.Run(ctx); close(over) }()
		time.Sleep(2 * time.Hour)
		for range 3 {
			now := time.Now()
			m.Soon(1)
			synctest.Wait()
			if began, _ := m.Last(1); began.Before(now) {
				t.Errorf("the newest check began %s before it was asked for", now.Sub(began))
			}
			time.Sleep(time.Minute)
		}
		stop()
		<-over
	})
}
