package operate

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// mistake is what makes a sound file one that must be refused while green is live, and what is said of it.
type mistake struct {
	name, old, new, refusal string
}

func mistakes() []mistake {
	udp := fmt.Sprintf("      - {vip: %q, protocol: udp, port: 7777}\n", lab.VIP4)
	return []mistake{
		{"what is not YAML", "[eth0]", "[eth0",
			"2: not YAML: did not find expected ',' or ']' while parsing a flow sequence that began on line 1"},
		{"a new version in the live colour", `"2.0"`, `"2.1"`,
			"16: services.world.pools.green.version: green is live with version 2.0: " +
				"a new version goes to the idle colour, blue, and is made live by a flip"},
		{"a live pool that is gone", "      green:\n", "",
			"10: services.world.pools: green is live and cannot be removed: flip to blue first"},
		{"listeners that overlap", udp, udp + strings.Replace(udp, "7777", "7000-8000", 1),
			"8: services.world.listeners[2].port: 7000-8000 overlaps services.world.listeners[1] (203.0.113.10 udp 7777) on line 7"},
	}
}

// broken is the stage's configuration with the mistake. A pool that is gone takes all below it along.
func (s *stage) broken(m mistake) string {
	before, after, _ := strings.Cut(s.yaml(), m.old)
	if m.new == "" {
		return before
	}
	return before + m.new + after
}

func (s *stage) refusal(verb string, m mistake) string {
	return fmt.Sprintf("ebbtide: %s: %s:%s\n", verb, s.host.Options().Config, m.refusal)
}

// mustDrainBlue sets up with green live, and a player on each colour.
func mustDrainBlue(t *testing.T) *stage {
	t.Helper()
	s := mustStage(t, setting{timeouts: calm})
	s.login(t, "blue")
	s.flip(t)
	s.login(t, "green")
	s.swept(t)
	return s
}

func TestAReloadThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	s := mustDrainBlue(t)
	before := s.record(t)
	if len(before.steps) == 0 {
		t.Fatal("no kernel write is in the log: this test sees nothing")
	}
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			s.configure(t, s.broken(m))
			s.do(t, "plan").mustBe(t, 5, "", s.refusal("plan", m))
			s.do(t, "reload").mustBe(t, 5, "", s.refusal("reload", m))
			s.swept(t)
			s.mustEqual(t, before)
		})
	}
	s.login(t, "green")
	s.mustBeWhole(t)
}

func TestADaemonThatStartsWithABrokenFileGoesOnAsItWas(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := mustDrainBlue(t)
			before := s.record(t)
			if err := s.host.Kill(); err != nil {
				t.Fatal(err)
			}
			s.configure(t, s.broken(m))
			s.start(t)
			s.mustEqual(t, before)
			s.swept(t)
			s.swept(t)
			s.mustEqual(t, before)
			if !strings.Contains(s.host.Log(), "mend the file and reload") {
				t.Error("the log does not say what to do")
			}
			s.host.AwaitHops(t)
			s.login(t, "green")
			s.do(t, "reload").mustBe(t, 5, "", s.refusal("reload", m))
			s.configure(t, s.yaml())
			s.do(t, "reload").mustBe(t, 0, "no changes: nothing was written\n", "")
			s.do(t, "rollback", "world").mustBe(t, 0, proof(blue1, green2, "4"), "")
			s.login(t, "blue")
			s.mustBeWhole(t)
		})
	}
}

// record is all that a daemon may not touch when it changes nothing.
type record struct {
	steps  []string // kernel writes
	state  string   // the state file
	pinned []string // what bpffs holds
	flows  flows
}

func (s *stage) record(t *testing.T) record {
	t.Helper()
	opt := s.host.Options()
	rec := record{
		steps: strings.Split(mustRead(t, opt.StepLog), "\n"), state: mustRead(t, filepath.Join(opt.StateDir, "state.json")),
		flows: s.flows(t),
	}
	err := filepath.WalkDir(opt.BPFDir, func(path string, _ fs.DirEntry, err error) error {
		info, statErr := os.Lstat(path)
		if statErr != nil {
			return statErr
		}
		rec.pinned = append(rec.pinned, fmt.Sprintf("%s inode %d", path, info.Sys().(*syscall.Stat_t).Ino))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// mustEqual checks that nothing of the record has changed, but for flows that came.
func (s *stage) mustEqual(t *testing.T, before record) {
	t.Helper()
	after := s.record(t)
	if !slices.Equal(after.steps, before.steps) {
		t.Errorf("kernel writes: %q", after.steps[len(before.steps)-1:])
	}
	if after.state != before.state {
		t.Errorf("the state file is\n%s\nit was\n%s", after.state, before.state)
	}
	if !slices.Equal(after.pinned, before.pinned) {
		t.Errorf("pinned in bpffs are %q, before it was %q", after.pinned, before.pinned)
	}
	s.mustHold(t, before.flows)
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
