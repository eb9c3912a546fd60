package tide

import (
	"fmt"
	"testing"
	"time"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func count(n uint64) []Count {
	return []Count{{Number: 1, Colour: "blue", Version: "1.9", Sessions: n}}
}

func TestTheRecentIsFineAndWhatWasBeforeIsCoarse(t *testing.T) {
	h := New()
	const seconds = 2 * 3600
	for i := range seconds {
		h.Add(begin.Add(time.Duration(i)*time.Second), map[string][]Count{"world": count(uint64(i))})
	}
	points, _ := h.Since("world", time.Time{})
	for i, p := range points[1:] {
		step := p.At.Sub(points[i].At)
		fine := len(points)-i-1 < recentPoints
		if fine && step != time.Second || step <= 0 || step > coarseEvery {
			t.Fatalf("point %d of %d comes %s after the one before it", i+1, len(points), step)
		}
	}
	if first := points[0]; !first.At.Equal(begin) || first.Generations[0].Sessions != 0 {
		t.Errorf("the oldest of %d points is %+v, want the first that was counted", len(points), first)
	}
	if newest := points[len(points)-1]; newest.Generations[0].Sessions != seconds-1 {
		t.Errorf("the newest point has %d sessions, want %d", newest.Generations[0].Sessions, seconds-1)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	for _, services := range []int{1, 7, 400} {
		h := New()
		for i := range 2 * recentPoints {
			counts := map[string][]Count{}
			for s := range services {
				counts[fmt.Sprint("s", s)] = count(1)
			}
			h.Add(begin.Add(time.Duration(i)*coarseEvery), counts)
		}
		total := 0
		for _, l := range h.services {
			total += len(l.recent) + len(l.coarse)
		}
		if limit := min(max(maxPoints, services*2*minPoints), services*(recentPoints+coarsePoints)); total > limit {
			t.Errorf("%d services have %d points, want %d at most", services, total, limit)
		}
	}
}

func TestWhoFollowsIsToldWhatIsNewOnly(t *testing.T) {
	h := New()
	if points, _ := h.Since("world", time.Time{}); points != nil {
		t.Fatalf("nothing was counted, and there are %v", points)
	}
	_, more := h.Since("world", time.Time{})
	h.Add(begin, map[string][]Count{"world": count(3)})
	select {
	case <-more:
	default:
		t.Fatal("nobody was told")
	}
	h.Add(begin.Add(time.Second), map[string][]Count{"world": count(4)})
	points, _ := h.Since("world", begin)
	if len(points) != 1 || points[0].Generations[0].Sessions != 4 {
		t.Errorf("after the first there are %+v, want the second", points)
	}
	h.Add(begin.Add(2*time.Second), map[string][]Count{"lobby": count(4)})
	if points, _ := h.Since("world", time.Time{}); points != nil {
		t.Errorf("a service that is gone still has %v", points)
	}
}
