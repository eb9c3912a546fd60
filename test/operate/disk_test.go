package operate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/lab"
)

// disk is a small file system.
type disk struct{ dir string }

// mustDisk mounts one at name under the lab's directory.
func (s *stage) mustDisk(t *testing.T, name string) disk {
	t.Helper()
	dir, err := s.lab.MountTmpfs(name, 512<<10)
	if err != nil {
		t.Fatal(err)
	}
	return disk{dir}
}

// mustFill is a small file system that is the state directory.
func (s *stage) mustFill(t *testing.T) disk {
	t.Helper()
	return s.mustDisk(t, filepath.Base(s.host.Options().StateDir))
}

func (d disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill leaves no page free, and no name: a file that has room in its last page can't be made either.
func (d disk) fill(t *testing.T) {
	t.Helper()
	f, err := os.Create(d.filler())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 512); ; {
		if _, err := f.Write(piece); err != nil {
			return
		}
	}
}

func (d disk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}

// exhaust writes to the journal what its last page has room for, on a disk that is full.
func (s *stage) exhaust(t *testing.T) {
	t.Helper()
	lab.Eventually(t, "the journal to be full", func() bool {
		return strings.Contains(s.do(t, "testers", "world", "add", "198.51.100.8").stderr, "write the journal")
	})
}

// mustBeReadOnly mounts a directory over itself, to be read only, and gives what takes that away. What was opened before
// goes on.
func mustBeReadOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	over := false
	writable = func() {
		if !over {
			over = true
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(writable)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return writable
}

const (
	fullDisk = "no space left on device: make room on that file system, then it goes on by itself"
	readOnly = "read-only file system: mount that file system writable again, then it goes on by itself; dmesg may say why it is not"
)

// acts are those of an operator that change something, in an order in which each can be done after those before it.
var acts = []string{
	"flip world --at " + time.Now().Add(time.Hour).Format(time.RFC3339), "schedule cancel 1",
	"testers world add 198.51.100.7", "share world 5%", "lock world --reason patch --for 1h", "unlock world", "close world", "open world",
	"reload", "flip world", "rollback world", "release world --force",
}

// mustRefuseActs checks that each act is refused with a reason, that nothing of it is done, and that nobody notices.
func (s *stage) mustRefuseActs(t *testing.T, why string) {
	t.Helper()
	s.swept(t)
	before := s.unchanged(t)
	for _, act := range acts {
		switch {
		case strings.HasPrefix(act, "unlock"), strings.HasPrefix(act, "open"), strings.HasPrefix(act, "schedule"), strings.HasPrefix(act, "rollback"):
			continue // of what the one before has not done
		}
		s.do(t, strings.Fields(act)...).mustBe(t, 1, "", "ebbtide: "+strings.Fields(act)[0]+"…"+why+"…")
	}
	s.swept(t)
	after := s.unchanged(t)
	if !slices.Equal(after.steps, before.steps) || after.state != before.state || !slices.Equal(after.pinned, before.pinned) {
		t.Errorf("it was\n%+v\nand is\n%+v", before, after)
	}
	s.mustHold(t, before.flows)
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// unchanged is a record in which what was only tried to be written to a file is left out.
func (s *stage) unchanged(t *testing.T) record {
	t.Helper()
	rec := s.record(t)
	rec.steps = slices.DeleteFunc(rec.steps, func(step string) bool {
		return strings.Contains(step, ": journal") || strings.HasSuffix(step, ": save")
	})
	return rec
}

// mustDoActs checks that all can be done now, and that the journal is whole.
func (s *stage) mustDoActs(t *testing.T) {
	t.Helper()
	for _, act := range acts {
		s.do(t, strings.Fields(act)...).mustBe(t, 0, "…", "")
	}
	s.do(t, "rollback", "world").mustBe(t, 0, "…", "")
	s.mustBecome(t, "rolled-back")
	s.do(t, "journal", "verify", "--file", s.journal()).mustBe(t, 0, "…", "")
	s.mustBeWhole(t)
}

// A state directory without room refuses acts and says why and what to do; nothing of them is done, and the players notice
// nothing. Once there is room all goes.
func TestAFullDiskRefusesActsAndCutsNobody(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{timeouts: calm})
	full := s.mustFill(t)
	s.host.Options().StepLog = s.lab.Dir + "/steps"
	s.start(t)
	s.host.AwaitHops(t)
	s.login(t, "blue")
	s.configure(t, strings.Replace(s.yaml(), "max_flows: 65536", "max_flows: 131072", 1))
	full.fill(t)
	s.mustRefuseActs(t, fullDisk)
	full.empty(t)
	s.mustDoActs(t)
}

// The same where the state directory can only be read: the journal is open and could be written, the state file can't.
func TestAReadOnlyStateDirectoryRefusesActsAndCutsNobody(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{timeouts: calm})
	s.host.Options().StepLog = s.lab.Dir + "/steps"
	s.start(t)
	s.host.AwaitHops(t)
	s.login(t, "blue")
	s.configure(t, strings.Replace(s.yaml(), "max_flows: 65536", "max_flows: 131072", 1))
	writable := mustBeReadOnly(t, s.host.Options().StateDir)
	s.mustRefuseActs(t, readOnly)
	writable()
	s.mustDoActs(t)
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	// One that starts says why it can't, and the data plane goes on without it.
	writable = mustBeReadOnly(t, s.host.Options().StateDir)
	if err := s.host.Start(t.Context()); err == nil || !strings.Contains(err.Error(), readOnly) {
		t.Errorf("got %v", err)
	}
	s.login(t, "blue")
	writable()
	s.start(t)
	s.do(t, "status").mustBe(t, 0, "…", "")
	s.mustBeWhole(t)
}

// A release that has come to a full disk stands where it is, says so, and goes on by itself: its hooks run once, also the
// one that could not be begun. The daemon may be killed and started meanwhile.
func TestAReleaseGoesOnByItselfWhenTheDiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	full := s.mustFill(t)
	s.start(t)
	s.host.AwaitHops(t)
	// The disk has to be full before the bake is over.
	s.releases(t, "session", "bake: 5s", "flip", "bake", "drain", "retire", "promote")
	player := s.login(t, "blue")
	waiter := s.begin(t, "release", service, "--wait", "--force")
	waiter.says(t, "world: release 1: baking")
	full.fill(t)
	s.mustWaitFor(t, fullDisk)
	s.do(t, "release", "pause", service).mustBe(t, 1, "", "…"+fullDisk+"…nothing was changed\n")
	s.login(t, "green")
	waiter.mustWait(t)
	waiter.cmd.Process.Kill()
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.mustWaitFor(t, fullDisk)
	full.empty(t)
	s.mustBecome(t, "draining")
	full.fill(t)
	player.Logout()
	s.mustWaitFor(t, fullDisk)
	full.empty(t)
	s.mustBecome(t, "done")
	for _, name := range []string{"flip", "bake", "drain", "retire", "promote"} {
		if calls := s.told(t, name); len(calls) != 1 {
			t.Errorf("the hook of %s was told %+v", name, calls)
		}
	}
	s.do(t, "journal", "verify", "--file", s.journal()).mustBe(t, 0, "…", "")
	s.mustBeWhole(t)
}

// mustWaitFor waits until the newest release says that it waits for something.
func (s *stage) mustWaitFor(t *testing.T, why string) {
	t.Helper()
	lab.Eventually(t, "the release to wait for "+why, func() bool {
		list, err := s.host.Client.Releases(t.Context(), api.ReleasesRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		last := list.Releases[len(list.Releases)-1]
		return strings.Contains(last.Waits, why) && last.State != "failed"
	})
}

// A drain that ends while the disk is full is drained when it has room again, and its proof is in the journal; so is the end
// of what was begun before.
func TestADrainEndsWhenTheDiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	full := s.mustFill(t)
	s.start(t)
	s.host.AwaitHops(t)
	player := s.login(t, "blue")
	s.flip(t)
	evict := s.begin(t, "evict", "world", "--generation", "1", "--batch", "1", "--every", "1s", "--client", "198.51.100.250/32")
	evict.end(t)
	full.fill(t)
	s.exhaust(t)
	player.Logout()
	lab.Eventually(t, "nobody to be left", func() bool { return s.generation(t, 1).Sessions.Total == 0 })
	s.swept(t)
	s.swept(t)
	if g := s.generation(t, 1); g.State == api.StateDrained {
		t.Error("generation 1 is drained, and the journal could not have it")
	}
	full.empty(t)
	lab.Eventually(t, "generation 1 to be drained", func() bool { return s.generation(t, 1).State == api.StateDrained })
	drained := 0
	for _, e := range s.history(t, api.HistoryRequest{}) {
		if e.Act == "drained" && e.Stage == journal.Note {
			drained++
		}
	}
	if drained != 1 {
		t.Errorf("the journal has %d proofs", drained)
	}
	s.login(t, "green")
	s.mustBeWhole(t)
}

// The files that tell what runs where are whole or as they were, and follow when they can be written again.
func TestTheFilesFollowWhenTheyCanBeWrittenAgain(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	files := s.mustDisk(t, "files")
	environment, targets := filepath.Join(files.dir, "environment.md"), filepath.Join(files.dir, "targets.json")
	d := s.mustRun(t, "--environment", environment, "--targets", targets)
	const blueLive, greenLive = "| world | generation 1 (blue) |", "| world | generation 2 (green) |"
	says := func(path, what string) func() bool {
		return func() bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), what)
		}
	}
	lab.Eventually(t, "environment.md", says(environment, blueLive))
	lab.Eventually(t, "targets.json", says(targets, `"role": "live"`))
	files.fill(t)
	before := mustRead(t, targets)
	s.do(t, "flip", "world").mustBe(t, 0, "…", "")
	lab.Eventually(t, "the log to say so", func() bool {
		return strings.Contains(d.stderr.String(), "not current") && strings.Contains(d.stderr.String(), fullDisk)
	})
	if !says(environment, blueLive)() || mustRead(t, targets) != before {
		t.Errorf("half written:\n%s\n%s", mustRead(t, environment), mustRead(t, targets))
	}
	files.empty(t)
	lab.Eventually(t, "environment.md to follow", says(environment, greenLive))
	lab.Eventually(t, "targets.json to follow", func() bool { return mustRead(t, targets) != before })
	if left, err := filepath.Glob(filepath.Join(files.dir, ".*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	s.mustBeWhole(t)
}
