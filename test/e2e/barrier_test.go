package e2e

import (
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/internal/api"
)

// Packets linger between reading which generation is live and publishing their pin. A flip that did not wait for them
// would see sessions appear on the old colour after it had returned; test/datapath shows that without a barrier they do.
func TestAFlipWaitsForThePacketsThatHadReadTheOldColour(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, timeouts: calm, leaveOut: bpftest.ProgramRuleSTALL_PUBLISH, stall: 1 << 19})
	floods := s.floods(t)
	done := make(chan error, 1)
	go func() { done <- s.flipAndLook(t, 40) }()
	often := time.NewTicker(time.Millisecond)
	defer often.Stop()
	for range often.C {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
			floods.client(s.endpoints[0].Addr).says(t, syn)
		}
	}
}

// flipAndLook flips to and fro, and looks after each flip at what has come to the old colour since.
func (s *stage) flipAndLook(t *testing.T, times int) error {
	var opened uint64
	for range times {
		result, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service})
		if err != nil {
			return err
		}
		st, err := s.host.Client.Status(t.Context())
		if err != nil {
			return err
		}
		for _, g := range st.Services[0].Generations {
			if g.Number == result.Old.Number && (result.NewOnOld != 0 || g.NewSinceFlip != 0) {
				t.Errorf("after the flip to %s had returned %s got %d new sessions, and then %d", result.Live.Colour, g.Colour, result.NewOnOld, g.NewSinceFlip)
			}
			opened = max(opened, g.New)
		}
	}
	if opened < uint64(times) {
		t.Errorf("%d sessions were opened meanwhile: too few to have tested", opened)
	}
	return nil
}
