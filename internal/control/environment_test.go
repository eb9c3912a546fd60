package control

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

func TestTheFilesFollowAFlipAndARollback(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	must(t, c.save(c.image))
	dir := t.TempDir()
	c.opt.Files = Files{Environment: filepath.Join(dir, "e.md"), Targets: filepath.Join(dir, "t.json"), TargetsPort: 9100}
	f := environmentFiles{c: c}
	written := func() string {
		t.Helper()
		must(t, f.tryWrite())
		text, err := os.ReadFile(c.opt.Files.Environment)
		must(t, err)
		return string(text)
	}
	roles := func() map[string]string {
		t.Helper()
		text, err := os.ReadFile(c.opt.Files.Targets)
		must(t, err)
		var groups []struct {
			Targets []string
			Labels  map[string]string
		}
		must(t, json.Unmarshal(text, &groups))
		out := map[string]string{}
		for _, g := range groups {
			out[g.Labels["generation"]] = g.Labels["role"] + " " + g.Labels["stable"]
			if len(g.Targets) != 2 || !strings.HasSuffix(g.Targets[0], ":9100") {
				t.Errorf("targets %v", g.Targets)
			}
		}
		return out
	}
	if page := written(); !strings.Contains(page, "there is nothing to go back to") {
		t.Errorf("at first:\n%s", page)
	}
	if r := roles(); !reflect.DeepEqual(r, map[string]string{"1": "live true", "2": "candidate false"}) {
		t.Errorf("at first: %v", r)
	}
	now, err := c.plane.Now()
	must(t, err)
	old := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	mapstest.Fill4(t, c.plane.Tables, 4096, 3, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, old, now) })
	_, err = c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true, Act: api.Act{Reason: "version 1"}})
	must(t, err)
	page := written()
	for _, want := range []string{"| 1 | blue | v0 | draining | draining, stable |", "| 2 | green | v1 | live | live |", "the daemon: version 1", "    ebbtide rollback s0\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if r := roles(); !reflect.DeepEqual(r, map[string]string{"1": "draining true", "2": "live false"}) {
		t.Errorf("after the flip: %v", r)
	}
	// Once a release has judged, its word goes before.
	s := c.state.Services["s0"]
	s.Stable = 2
	c.state.Services["s0"] = s
	written()
	if r := roles(); !reflect.DeepEqual(r, map[string]string{"1": "draining false", "2": "live true"}) {
		t.Errorf("after a bake: %v", r)
	}
	status, err := c.Status(t.Context())
	must(t, err)
	if g := status.Services[0].Generations; !slices.Equal(g[0].Roles, []string{"draining"}) || !slices.Equal(g[1].Roles, []string{"live", "stable"}) {
		t.Errorf("status: %+v", g)
	}
	_, err = c.Rollback(t.Context(), api.RollbackRequest{Service: "s0", Act: api.Act{Reason: "items lost"}})
	must(t, err)
	if page := written(); !strings.Contains(page, "| 1 | blue | v0 | live | live |") || !strings.Contains(page, "items lost") {
		t.Errorf("after the rollback:\n%s", page)
	}
	before, err := os.Stat(c.opt.Files.Environment)
	must(t, err)
	written()
	if after, err := os.Stat(c.opt.Files.Environment); err != nil || !os.SameFile(before, after) {
		t.Errorf("written though nothing changed: %v", err)
	}
}

// The loop itself: whoever reads the file sees the flip in it, without asking for it.
func TestTheFilesAreWrittenWhenSomethingChanges(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	path := filepath.Join(t.TempDir(), "e.md")
	c.opt.Files = Files{Environment: path}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.environmentLoop(ctx) }()
	_, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
	must(t, err)
	stop() // the last change is written before it ends
	if err := <-done; err != context.Canceled {
		t.Error(err)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(text), "| 2 | green | v1 | live | live |") {
		t.Errorf("%s", text)
	}
	c.opt.Files.Environment = filepath.Join(path, "below a file")
	f := environmentFiles{c: c}
	f.write()
	if !f.failed {
		t.Error("a failure was not seen")
	}
	c.opt.Files.Environment = path
	f.write()
	if f.failed {
		t.Error("it did not recover")
	}
}
