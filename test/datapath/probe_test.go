package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// Go works out where a flow may lie as the program does: in its first line while there is room, in the overflow at last.
func TestTheLongestProbeIsThatOfTheProgram(t *testing.T) {
	const sample = 1 << 19 // so many that no slot of a small table is left out
	for _, fam := range maps.Families() {
		t.Run(familyName(fam), func(t *testing.T) {
			w := mustWorld(t, options{flows: 10_000}, 3)
			for i := range 20 {
				w.send(crowd(fam, i).flagged(syn))
			}
			if lines, err := w.LongestProbe(fam, sample); err != nil || lines != 1 {
				t.Errorf("in an empty table the longest probe is %d lines (%v)", lines, err)
			}
			w = mustWorld(t, tiny, 3)
			w.fill(fam, w.mainSlots(fam)+1)
			if lines, err := w.LongestProbe(fam, sample); err != nil || lines != 5 {
				t.Errorf("with the overflow in use the longest probe is %d lines (%v)", lines, err)
			}
		})
	}
}
