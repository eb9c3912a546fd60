package lab

import (
	"testing"
	"time"
)

// ForEver bounds what a test waits for: it only ends tests that would hang.
const ForEver = 60 * time.Second

// Eventually waits for what nothing announces.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(ForEver); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}
