package loader

import "testing"

func TestRangesOfCPUsAreCounted(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-1": 2, "0-3,6": 5, "0,2,4-7,15": 7} {
		if got, err := countRanges(list); got != want || err != nil {
			t.Errorf("%s: %d (%v), want %d", list, got, err, want)
		}
	}
	for _, list := range []string{"", "0-", "a"} {
		if n, err := countRanges(list); err == nil {
			t.Errorf("%q: %d", list, n)
		}
	}
	if n, err := OnlineCPUs(); n < 1 || err != nil {
		t.Errorf("this host has %d CPUs: %v", n, err)
	}
}
