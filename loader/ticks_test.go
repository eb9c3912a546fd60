package loader

import (
	"testing"
	"time"
)

func TestTicksAreToldFromTwoClocks(t *testing.T) {
	for _, c := range []struct {
		hz     uint32
		uptime time.Duration
		shift  uint32
	}{
		{100, 5 * time.Minute, 7}, {250, time.Second, 8}, {300, 40 * 24 * time.Hour, 8}, {1000, 299 * time.Second, 10},
		{1000, time.Hour, 10}, {250, 301 * time.Second, 8},
	} {
		jiffies := uint64(uint32(-300*int64(c.hz))) + uint64(c.uptime.Seconds()*float64(c.hz))
		got, err := ticksFrom(jiffies, c.uptime)
		// Around 300 s after boot every rate predicts the same jiffies modulo the start, so no rate may be wrong by more
		// than the start itself tells.
		if err != nil || got.shift != c.shift || got.hz != c.hz {
			t.Errorf("%d Hz after %v: got %+v, %v", c.hz, c.uptime, got, err)
		}
	}
}

func TestARateASecondIsOneATickOrMore(t *testing.T) {
	for _, c := range []struct {
		ticks  Ticks
		second float64
		want   uint32
	}{
		{Ticks{250, 8}, 1000, 1024}, {Ticks{100, 7}, 1000, 1280}, {Ticks{300, 8}, 1000, 853}, {Ticks{1000, 10}, 3. / 64, 1},
	} {
		if got := c.ticks.Rate(c.second); got != c.want {
			t.Errorf("%v a second at %d Hz: %d a tick, want %d", c.second, c.ticks.hz, got, c.want)
		}
	}
}
