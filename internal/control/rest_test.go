package control

import (
	"maps"
	"slices"
	"testing"
)

// Those rest who have a reason, unless as good as all have it.
func TestWhoIsSparedGoesOn(t *testing.T) {
	all := []uint16{1, 2, 3, 4}
	for name, c := range map[string]struct {
		sick  []uint16
		least float64
		left  []uint16
	}{
		"nobody is sick":           {nil, 0.5, all},
		"one is":                   {[]uint16{2}, 0.5, []uint16{1, 3, 4}},
		"as many as may be":        {[]uint16{2, 3}, 0.5, []uint16{1, 4}},
		"more than may be":         {[]uint16{2, 3, 4}, 0.5, all},
		"all, and none has to go":  {all, 0, all},
		"all but one, and he does": {[]uint16{1, 2, 3}, 0, []uint16{4}},
	} {
		why := map[uint16]string{}
		left := spare(all, why, c.least, func(id uint16) string {
			if slices.Contains(c.sick, id) {
				return "sick"
			}
			return ""
		})
		if !slices.Equal(left, c.left) || len(left)+len(why) != len(all) {
			t.Errorf("%s: %v go on and %v rest, want %v to go on", name, left, slices.Sorted(maps.Keys(why)), c.left)
		}
	}
}
