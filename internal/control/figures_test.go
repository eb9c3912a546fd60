package control

import (
	"testing"
	"testing/synctest"
	"time"
)

// Time that passes is no jump of the clock.
func TestOnlyASetClockCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		time.Sleep(time.Hour)
		now := time.Now()
		if got := clockSet(started, now, now.Sub(started)); got != 0 {
			t.Errorf("nobody set the clock, and it was set by %v", got)
		}
		now = now.Add(-10 * time.Minute)
		if got := clockSet(started, now, time.Hour); got != -10*time.Minute {
			t.Errorf("the clock was set back by ten minutes, and it was set by %v", got)
		}
	})
}
