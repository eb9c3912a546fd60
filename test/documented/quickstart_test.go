package documented

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

// The blocks of README's quickstart, in their order, as they stand there: on a host that is in the state in which a stranger's is,
// and on its backends.
func TestTheQuickstartIsWhatItSays(t *testing.T) {
	t.Parallel()
	onHost, onBackends, flip := quickstart(t)
	r := mustRoom(t)
	for _, b := range r.lab.Backends {
		run := r.begin(t, b.NS, onBackends)
		if code := run.end(t); code != 0 {
			t.Fatalf("on a backend: exit %d\n%s%s", code, run.stdout, run.stderr)
		}
	}
	r.serve(t)
	r.do(t, strings.NewReplacer(
		"make build && install -m 0755 bin/ebbtide /usr/local/bin/", "true", // it is built already, and installed there
		"    pools:\n", "    timeouts: {tcp: 60s, tcp_closing: 2s, udp: 6s, udp_new: 6s, reuse_after: 5s}\n    pools:\n", // so that the drain ends soon
	).Replace(onHost))
	t.Cleanup(func() { r.leave(t) })
	r.login(t)
	if got := r.world.Open(); got["blue"] != len(endpoints) {
		t.Errorf("the player is on %v, want blue", got)
	}
	wait := r.begin(t, r.lab.LB, flip)
	r.reads(t, wait, " left")
	r.login(t)
	if got := r.world.Open(); got["green"] != len(endpoints) || got["blue"] != len(endpoints) {
		t.Errorf("after the flip the players are on %v", got)
	}
	r.fleet.Playing()[0].Logout()
	if code := wait.end(t); code != 0 {
		t.Errorf("the flip: exit %d\n%s%s", code, wait.stdout, wait.stderr)
	}
	st, err := r.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g := st.Services[0].Generations[0]; g.State != api.StateDrained || g.NewSinceFlip != 0 {
		t.Errorf("blue is %s with %d new sessions since the flip", g.State, g.NewSinceFlip)
	}
	if totals := r.fleet.Totals(); totals.Broken != 0 {
		t.Errorf("players are broken: %q", totals.Reasons)
	}
}

// quickstart are the blocks of that section.
func quickstart(t *testing.T) (onHost, onBackends, flip string) {
	t.Helper()
	for _, p := range mustPages(t) {
		if p.name != "README.md" {
			continue
		}
		_, section, _ := strings.Cut(p.text, "\n## Quickstart\n")
		section, _, _ = strings.Cut(section, "\n## ")
		blocks := block.FindAllStringSubmatch(section, -1)
		if len(blocks) != 3 || !isWhole(blocks[0][2]) {
			t.Fatalf("the quickstart has %d blocks, want what is done on the host, on backends, and the flip", len(blocks))
		}
		return blocks[0][2], blocks[1][2], blocks[2][2]
	}
	t.Fatal("there is no README.md")
	return "", "", ""
}
