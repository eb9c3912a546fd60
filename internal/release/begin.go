package release

import "fmt"

// MayBegin refuses a release while another of its service may still change who is live. Those that only drain, and what
// follows, go on beside it.
func MayBegin(others []Record) error {
	for _, r := range others {
		if r.Front() {
			return &Refusal{fmt.Sprintf("release %d of it is %s: it has to have baked, or be over, before the next one begins", r.Number, r.State)}
		}
	}
	return nil
}

// Other is the release of a service, but for one, that may still change who is live; 0: none.
func Other(all []Record, but uint32) uint32 {
	for _, r := range all {
		if r.Number != but && r.Front() {
			return r.Number
		}
	}
	return 0
}

// MayStage refuses what would take a release's way back, or what it releases, out of its slot: a generation that holds
// that colour.
func MayStage(others []Record, displaced uint32) error {
	for _, r := range others {
		if r.Front() && (displaced == r.From.Number || displaced == r.To.Number) {
			return &Refusal{fmt.Sprintf("release %d of it is %s, and needs generation %d: wait until it has baked, or abort or roll it back",
				r.Number, r.State, displaced)}
		}
	}
	return nil
}
