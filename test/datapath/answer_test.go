package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// What the program answers or sends on by itself: every byte of it.
func TestAnswers(t *testing.T) {
	for _, f := range maps.Families() {
		runRows(t, answeredRows(f))
	}
}
