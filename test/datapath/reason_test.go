package datapath

import (
	"slices"
	"strings"
	"testing"
)

// A new reason to drop or to pass comes with a row in which a packet meets it.
func TestEveryVerdictWithAReasonHasARow(t *testing.T) {
	reasons, err := mustWorld(t, options{flows: 1000}, 1).Reasons()
	if err != nil {
		t.Fatal(err)
	}
	met := moves{}
	for _, r := range slices.Concat(passRows(), noFlowRows(), dropRows()) {
		met = met.and(r.moves)
	}
	for name := range reasons {
		if name == "drop_headroom" {
			continue // not every kernel can be made to: TestTooLittleHeadroomForIPIPIsCounted
		}
		if !strings.HasPrefix(name, "event_") && met[name] == 0 {
			t.Errorf("no row's packet meets %s", name)
		}
	}
}
