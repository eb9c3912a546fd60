package operate

import (
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// How the generations of a stage are named.
const (
	blue1  = "generation 1 (blue, version 1.9)"
	green2 = "generation 2 (green, version 2.0)"
)

// proof is what a flip prints: so many sessions are left on the old generation, and none is new there.
func proof(live, old, left string) string {
	return "world: " + live + ` is live
  before it:                 ` + old + `
  new sessions there since:  0
  reopened there since:      0
  sessions left there:       ` + left + `
  barrier:                   …s
`
}

// walk is an evening at the command line: each step begins where the one before has ended.
type walk struct {
	*stage
	daemon            *verb
	veteran, newcomer *game.Player // on blue, and on green
}

func TestEachVerbExitsAsDocumentedAndPrintsWhatIsTrue(t *testing.T) {
	t.Parallel()
	w := &walk{stage: mustSet(t, setting{})}
	t.Run("check needs no daemon, and all else exits 6 without one", w.alone)
	w.daemon = w.mustRun(t)
	steps := []struct {
		name string
		take func(*testing.T)
	}{
		{"what the command line has wrong exits 2", w.wrong},
		{"a flip to what is live has nothing to do", w.idle},
		{"a flip prints its proof", w.flips},
		{"a wait that times out exits 3, and the drain goes on", w.timesOut},
		{"a wait that a rollback ends exits 4", w.rollsBack},
		{"a flip's wait that another flip ends exits 4", w.flipsAgain},
		{"status and flip can be read by programs", w.json},
		{"a wait ends with 0 when the last has left, and not before", w.drains},
		{"a daemon that ends leaves 6 behind, and no player sees it", w.ends},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.take) {
			t.FailNow() // the next step would begin elsewhere
		}
	}
}

func (w *walk) alone(t *testing.T) {
	w.do(t, "check", w.host.Options().Config).mustBe(t, 0, "… is sound: services 1, backends 2\n", "")
	for _, args := range [][]string{
		{"status"}, {"flip", "world"}, {"drain", "world", "--wait"}, {"rollback", "world"}, {"flows"}, {"plan"}, {"reload"},
	} {
		w.do(t, args...).mustBe(t, 6, "", "ebbtide: "+args[0]+"…: no daemon listens on "+w.host.Options().Socket+"\nStart it: …\n")
	}
}

func (w *walk) wrong(t *testing.T) {
	for _, verb := range []string{"flip", "rollback"} {
		w.do(t, verb, "moon").mustBe(t, 2, "", "ebbtide: "+verb+" moon: service moon: there is none of this name\nSee 'ebbtide "+verb+" --help'.\n")
	}
	w.do(t, "drain", "moon", "--wait").mustBe(t, 2, "", "…service moon: there is none of this name\n…")
	w.do(t, "flows", "moon").mustBe(t, 2, "", "…service moon: there is none of this name\n…")
	w.do(t, "drain", "world", "--wait", "--generation", "7").mustBe(t, 2, "", "…there is no generation 7, or it is gone\n…")
	w.do(t, "flip", "world", "--to", "red").mustBe(t, 2, "", "ebbtide: flip world: colour \"red\": want blue or green\n…")
	w.do(t, "flip", "world", "--slowly").mustBe(t, 2, "", "ebbtide: unknown flag: --slowly\nSee 'ebbtide flip --help'.\n")
}

func (w *walk) idle(t *testing.T) {
	w.do(t, "status").mustBe(t, 0, "ebbtide …world    1           blue    1.9      live …world    2           green   2.0      candidate …", "")
	w.do(t, "flip", "world", "--to", "blue").mustBe(t, 0, "world: "+blue1+" is live already, nothing to do\n", "")
	w.do(t, "rollback", "world").mustBe(t, 5, "", "ebbtide: rollback world: service world: nothing to roll back to: …\n")
	w.do(t, "drain", "world", "--wait").mustBe(t, 0, "world: nothing drains\n", "")
	w.do(t, "drain", "world", "--wait", "--generation", "2").mustBe(t, 5, "", "…generation 2 is candidate: it does not drain\n")
}

func (w *walk) flips(t *testing.T) {
	w.veteran = w.login(t, "blue")
	w.do(t, "flip", "world").mustBe(t, 0, proof(green2, blue1, "2"), "")
	w.newcomer = w.login(t, "green")
	w.do(t, "flip", "world", "--to", "green").mustBe(t, 0, "world: "+green2+" is live already, nothing to do\n", "")
}

func (w *walk) timesOut(t *testing.T) {
	w.do(t, "drain", "world", "--wait", "--timeout", "5s").mustBe(t, 3,
		"world: "+blue1+": 2 left, …\n", "ebbtide: drain world: not drained after 5s; the drain goes on\nWait on with …\n")
	if g := w.generation(t, 1); g.State != api.StateDraining || g.NewSinceFlip != 0 {
		t.Errorf("blue is %s with %d new sessions since the flip, want draining with 0", g.State, g.NewSinceFlip)
	}
	w.mustBeWhole(t)
}

func (w *walk) rollsBack(t *testing.T) {
	wait := w.begin(t, "drain", "world", "--wait")
	wait.says(t, "2 left")
	w.do(t, "rollback", "world").mustBe(t, 0, proof(blue1, green2, "2"), "")
	wait.end(t).mustBe(t, 4, "world: "+blue1+": 2 left, …\nworld: "+blue1+": ended by a rollback with 2 left\n",
		"ebbtide: drain world: "+blue1+": the drain was ended by a rollback\n")
	w.login(t, "blue")
	w.mustBeWhole(t)
}

func (w *walk) flipsAgain(t *testing.T) {
	wait := w.begin(t, "flip", "world", "--wait")
	wait.says(t, "4 left, ")
	w.do(t, "flip", "world").mustBe(t, 0, proof(blue1, green2, "2"), "")
	wait.end(t).mustBe(t, 4, proof(green2, blue1, "4")+"world: "+blue1+": 4 left, …\nworld: "+blue1+": ended by a flip with 4 left\n",
		"ebbtide: flip world: "+blue1+": the drain was ended by a flip\n")
	w.login(t, "blue")
	w.mustBeWhole(t)
}

func (w *walk) json(t *testing.T) {
	decode(t, w.do(t, "flip", "world", "-o", "json"), func(f api.FlipResult) {
		if !f.Changed || f.Live.Colour != "green" || f.Old == nil || f.Old.Colour != "blue" || f.NewOnOld != 0 || f.SessionsOnOld != 6 {
			t.Errorf("flip to green: %+v, old %+v", f, f.Old)
		}
	})
	w.do(t, "rollback", "world", "-o", "json").mustBe(t, 0, "{…}\n", "")
	decode(t, w.do(t, "status", "-o", "json"), func(st api.Status) {
		svc := st.Services[0]
		if svc.Live.Colour != "blue" || svc.Generations[0].Sessions.Total != 6 || svc.Generations[1].State != api.StateDraining {
			t.Errorf("status after a flip and a rollback: %+v", svc)
		}
	})
	w.mustBeWhole(t)
}

// drains has green drained, where one player is: his UDP session falls silent, then his TCP session is closed.
func (w *walk) drains(t *testing.T) {
	wait := w.begin(t, "drain", "world", "--wait")
	wait.says(t, green2+": 2 left")
	tcp, udp := w.newcomer.Sessions()[0], w.newcomer.Sessions()[1]
	udp.Reset()
	lab.Eventually(t, "the one who is silent to leave the count", func() bool { return w.generation(t, 2).Sessions.Total == 1 })
	w.swept(t)
	w.swept(t)
	wait.mustWait(t)
	tcp.Logout()
	wait.end(t).mustBe(t, 0, "world: "+green2+": 2 left, …world: "+green2+": drained, 0 new sessions since the flip\n", "")
	if n := w.generation(t, 2).Sessions.Total; n != 0 {
		t.Errorf("status has %d sessions on a drained generation", n)
	}
	w.do(t, "drain", "world", "--wait").mustBe(t, 0, "world: "+green2+": drained, 0 new sessions since the flip\n", "")
	w.mustBeWhole(t)
}

func (w *walk) ends(t *testing.T) {
	w.stop(t, w.daemon)
	if r := w.daemon.end(t); r.code != 0 {
		t.Errorf("a daemon that was told to stop exits %d, want 0", r.code)
	}
	w.do(t, "status").mustBe(t, 6, "", "ebbtide: status: no daemon listens on …\n")
	w.mustBeWhole(t)
}
