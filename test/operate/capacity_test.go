package operate

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A flip is refused while there is less room on the other side than there will be sessions, by the capacity in the file or by
// what the backends tell; unless it is forced, and a rollback never.
func TestAFlipToTooLittleRoomIsRefusedWithFigures(t *testing.T) {
	t.Parallel()
	s := mustStageTelling(t, asksBackends)
	var green room
	for i, b := range s.lab.Backends {
		r := &room{}
		if i == 2 {
			r = &green
		}
		r.mustTell(t, b, 13)
	}
	told := s.host.Options().Config
	yaml := mustRead(t, told)
	holds := func(sessions string) {
		s.configure(t, strings.ReplaceAll(yaml, "{address: [10.77.0.13, \"fd77::d\"]}", "{address: [10.77.0.13, \"fd77::d\"], capacity: "+sessions+"}"))
	}
	holds("3")
	s.start(t)
	s.host.AwaitHops(t)
	free := func(n int64) {
		green.free.Store(n)
		lab.Eventually(t, "what the backends tell", func() bool {
			for _, g := range s.service(t).Generations {
				for _, b := range g.Backends {
					if b.Occupancy == nil || b.Occupancy.Free == nil || g.Number == 2 && *b.Occupancy.Free != uint64(n) {
						return false
					}
				}
			}
			return true
		})
	}
	free(13)
	s.login(t, "blue")
	s.login(t, "blue")
	s.swept(t)
	const (
		players  = "generation 2 has room for 13 more players by what its backends tell, and 14 will come"
		sessions = "generation 2 has room for 3 more sessions by the capacity of its backends, and 4 will come"
	)
	refused := "ebbtide: flip world: service world: capacity: …" + players + "; " + sessions + "; see ebbtide verify, or give --force\n"
	s.do(t, "flip", service).mustBe(t, 5, "", refused)
	s.do(t, "verify", service).mustBe(t, 5, "…capacity…FAILS…"+sessions+"…", "…a check fails: a release would not flip\n")
	free(14)
	s.do(t, "flip", service).mustBe(t, 5, "", "…"+sessions+"…")
	holds("4")
	s.do(t, "reload").mustBe(t, 0, "…", "")
	s.do(t, "verify", service).mustBe(t, 0, "…capacity…ok…", "")
	s.do(t, "flip", service).mustBe(t, 0, "…", "")
	s.do(t, "rollback", service).mustBe(t, 0, "…", "")
	free(13)
	s.do(t, "flip", service).mustBe(t, 5, "", "…"+players+"…")
	s.do(t, "flip", service, "--force").mustBe(t, 0, "…", "")
	if live := s.service(t).Live; live != (api.GenerationRef{Number: 2, Colour: "green", Version: "2.0"}) {
		t.Errorf("live is %+v", live)
	}
	s.mustBeWhole(t)
}
