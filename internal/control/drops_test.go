package control

import (
	"testing"
	"time"

	kernel "github.com/ebbtide/ebbtide/maps"
)

func TestDropsAreCountsWithTheirRatesOverTheIntervalThatWasMeasured(t *testing.T) {
	before := map[string]uint64{"drop_table_full": 10, "event_cas_lost": 7, "pass_not_ours": 1}
	after := map[string]uint64{"drop_table_full": 30, "event_cas_lost": 3, "pass_not_ours": 9, "drop_ttl": 5}
	got, err := drops(before, after, 4*time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	rates := map[string]float64{}
	var order []string
	for _, r := range got.Reasons {
		rates[r.Reason] = r.RatePerSecond
		order = append(order, r.Reason)
		if r.Count != after[r.Reason] || r.Meaning == "" || r.Advice == "" {
			t.Errorf("%+v", r)
		}
	}
	if len(order) != 3 || order[2] != "event_cas_lost" {
		t.Errorf("listed are %v, want two drops and then the event", order)
	}
	// What has become less was begun anew.
	if rates["drop_table_full"] != 5 || rates["drop_ttl"] != 1.25 || rates["event_cas_lost"] != 0.75 {
		t.Errorf("rates: %v", rates)
	}
}

func TestAllDropsAreAllReasonsWhatWasDroppedFirst(t *testing.T) {
	got, err := drops(nil, nil, time.Second, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Reasons) != len(kernel.ReasonTexts()) {
		t.Errorf("%d of %d reasons", len(got.Reasons), len(kernel.ReasonTexts()))
	}
	last := 0
	for _, r := range got.Reasons {
		if kindOf(r.Reason) < last {
			t.Errorf("%s comes late", r.Reason)
		}
		last = kindOf(r.Reason)
	}
}
