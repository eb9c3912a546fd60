package operate

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// room is what a backend's endpoint tells: how many more it takes.
type room struct{ free atomic.Int64 }

// mustTell serves it on a backend's own address.
func (r *room) mustTell(t *testing.T, b *lab.Backend, free int64) {
	t.Helper()
	r.free.Store(free)
	ln, err := b.Listen("tcp", netip.AddrPortFrom(b.V4, 9000))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE players gauge\nplayers 7\n# TYPE free gauge\nfree %d\n", r.free.Load())
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
}

// asksBackends is how backends are asked: an answer that takes its time comes before the figure of the last one is void.
const asksBackends = `{http: "http://{address}:9000/metrics", every: 3s, timeout: 5s}`

// mustStageTelling has two blue backends, and this occupancy in the file.
func mustStageTelling(t *testing.T, occupancy string) *stage {
	t.Helper()
	s := mustSet(t, setting{backends: []string{"blue1", "blue2", "green1"}, timeouts: calm})
	s.configure(t, strings.Replace(s.yaml(), "    forwarding: dsr\n", "    forwarding: dsr\n    occupancy: "+occupancy+"\n", 1))
	t.Cleanup(func() {
		s.host.Signal(syscall.SIGCONT)
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
	return s
}

// blue is what status has of a blue backend.
func (s *stage) blue(t *testing.T, b *lab.Backend) api.Backend {
	t.Helper()
	for _, is := range s.generation(t, 1).Backends {
		if is.Addresses[0] == b.V4.String() {
			return is
		}
	}
	t.Fatalf("no backend %s", b.Name)
	return api.Backend{}
}

// newcomers lets some in, and says how many sessions each blue backend got of them.
func (s *stage) newcomers(t *testing.T, n int) map[string]int {
	t.Helper()
	since := time.Now()
	for range n {
		s.login(t, "blue")
	}
	got := map[string]int{}
	for _, a := range s.world.Log.Since(since) {
		got[a.Backend]++
	}
	return got
}

// A backend that takes nobody more gets no new sessions and keeps its players; over a restart it is what it was; it takes
// them again when it says so. When all are full, all are used.
func TestAFullBackendKeepsItsPlayersAndGetsNoNewOnes(t *testing.T) {
	t.Parallel()
	s := mustStageTelling(t, asksBackends)
	first, second := s.lab.Backends[0], s.lab.Backends[1]
	var rooms [2]room
	rooms[0].mustTell(t, first, 5)
	rooms[1].mustTell(t, second, 5)
	s.start(t)
	s.host.AwaitHops(t)
	is := func(b *lab.Backend, state string, free uint64) func() bool {
		return func() bool {
			is := s.blue(t, b)
			return is.State == state && is.Occupancy != nil && is.Occupancy.Free != nil && *is.Occupancy.Free == free
		}
	}
	lab.Eventually(t, "the first answers", func() bool {
		return is(first, api.BackendInUse, 5)() && is(second, api.BackendInUse, 5)()
	})
	if got := s.newcomers(t, 8); got[first.Name] == 0 || got[second.Name] == 0 {
		t.Fatalf("new sessions with room on both: %v", got)
	}
	s.swept(t)
	if o := s.blue(t, first).Occupancy; *o.Players != 7 || o.Difference == nil || *o.Difference != 7-int64(o.Sessions) || o.Sessions == 0 {
		t.Errorf("the kernel's count beside 7 players: %+v", o)
	}

	rooms[0].free.Store(0)
	lab.Eventually(t, "its rest", is(first, api.BackendResting, 0))
	if got := s.newcomers(t, 8); got[first.Name] != 0 || got[second.Name] == 0 {
		t.Errorf("new sessions with the first one full: %v", got)
	}
	s.mustBeWhole(t)
	s.restartAfter(t, func() error { return nil })
	if b := s.blue(t, first); b.State != api.BackendResting {
		t.Errorf("after a restart it is %s", b.State)
	}
	s.do(t, "history", "world").mustBe(t, 0, "…it holds 7 players and takes no more…", "")

	rooms[1].free.Store(0)
	lab.Eventually(t, "the end of its rest, for all are full", is(first, api.BackendInUse, 0))
	rooms[0].free.Store(1)
	lab.Eventually(t, "the second one's rest", is(second, api.BackendResting, 0))
	if got := s.newcomers(t, 8); got[first.Name] == 0 || got[second.Name] != 0 {
		t.Errorf("new sessions with the second one full: %v", got)
	}
	s.mustBeWhole(t)
}

// Where the file says so somebody else tells it. A word that is not renewed counts for a while only.
func TestSomebodyElseTellsThatABackendIsFull(t *testing.T) {
	t.Parallel()
	s := mustStageTelling(t, "{external: true, every: 2s}")
	s.start(t)
	s.host.AwaitHops(t)
	first := s.lab.Backends[0]
	s.do(t, "occupancy", "world", "10.9.9.9", "--players", "9").mustBe(t, 2, "", "…none of its pools has a backend 10.9.9.9\n…")
	s.do(t, "occupancy", "world", first.V4.String(), "--players", "9", "--free", "0").mustBe(t, 0, "world: "+first.V4.String()+" holds 9 players, 0 by the kernel's count, and is full\n", "")
	if b := s.blue(t, first); b.State != api.BackendResting || b.Occupancy.Full == "" {
		t.Errorf("it is %s, %+v", b.State, b.Occupancy)
	}
	lab.Eventually(t, "the end of a word that nobody renews", func() bool {
		b := s.blue(t, first)
		return b.State == api.BackendInUse && b.Occupancy.Players == nil
	})
	s.configure(t, s.yaml())
	s.do(t, "reload")
	s.do(t, "occupancy", "world", first.V4.String(), "--players", "9").mustBe(t, 5, "", "…`occupancy: {external: true}` somebody else may tell\n")
}
