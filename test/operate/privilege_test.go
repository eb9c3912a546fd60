package operate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/lab"
)

var capLine = regexp.MustCompile(`(?m)^(Cap(?:Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs):\s*(\S+)$`)

// mustComeTo waits until a daemon, which answers before it has given up anything, has no more than that.
func mustComeTo(t *testing.T, pid int, caps uint64) {
	t.Helper()
	lab.Eventually(t, "the daemon to give up what it does not need", func() bool { return len(otherThan(t, pid, caps)) == 0 })
}

// mustHave checks what each thread of a process may do.
func mustHave(t *testing.T, pid int, caps uint64) {
	t.Helper()
	for _, other := range otherThan(t, pid, caps) {
		t.Error(other)
	}
}

// otherThan are the differences.
func otherThan(t *testing.T, pid int, caps uint64) (others []string) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("the threads of %d: %v, %v", pid, threads, err)
	}
	mask := fmt.Sprintf("%016x", caps)
	want := map[string]string{"CapInh": "0000000000000000", "CapPrm": mask, "CapEff": mask, "CapBnd": mask, "CapAmb": "0000000000000000", "NoNewPrivs": "1"}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) { // it has ended
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := capLine.FindAllSubmatch(text, -1)
		if len(lines) != len(want) {
			t.Fatalf("%s: %d lines of %d", file, len(lines), len(want))
		}
		for _, line := range lines {
			if name, is := string(line[1]), string(line[2]); want[name] != is {
				others = append(others, fmt.Sprintf("%s: %s %s, want %s", file, name, is, want[name]))
			}
		}
	}
	return others
}

// CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF.
const threeCaps = 1<<12 | 1<<38 | 1<<39

// The real daemon keeps what the data plane takes and nothing else, and does all of its work with that: a flip, a new VIP, other
// tables, a trace. One that gets a hook with a user of its own says that it has to be restarted.
func TestTheDaemonKeepsThreeCapabilities(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	d := s.mustRun(t)
	mustComeTo(t, d.cmd.Process.Pid, threeCaps)
	s.login(t, "blue")
	s.do(t, "flip", "world").mustBe(t, 0, "…", "")
	s.login(t, "green")
	wider := strings.NewReplacer("max_flows: 65536", "max_flows: 70000",
		"    forwarding:", "      - {vip: 203.0.113.77, protocol: udp, port: 9000}\n    forwarding:").Replace(s.yaml())
	s.configure(t, wider)
	s.do(t, "reload").mustBe(t, 0, "…max_flows from 65536 to 70000…203.0.113.77…", "")
	s.do(t, "trace", "192.0.2.1", "--for", "1s").mustBe(t, 0, "…", "…")
	s.do(t, "evict", "world", "--generation", "1", "--force").mustBe(t, 0, "…", "")
	s.mustEnd(t, "evict", journal.Done)
	s.configure(t, wider+"    release: {hooks: {flip: [{exec: [/usr/bin/id], user: nobody, retries: 0}]}}\n")
	s.do(t, "reload").mustBe(t, 0, "…", "")
	s.do(t, "release", "world", "--force").mustBe(t, 0, "…", "")
	if r := s.mustBecome(t, "failed"); !strings.Contains(r.Why, "as nobody, since no hook had a user when it started: restart it") {
		t.Errorf("of a hook of nobody's the release says %q", r.Why)
	}
	mustHave(t, d.cmd.Process.Pid, threeCaps)
}

// Where a hook has a user of its own, the daemon keeps what that takes, and says so.
func TestTheDaemonKeepsWhatHooksOfOthersTake(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	hooked := s.yaml() + "    release: {hooks: {pause: [{exec: [/usr/bin/id], user: nobody}]}}\n"
	s.configure(t, hooked)
	d := s.mustRun(t)
	mustComeTo(t, d.cmd.Process.Pid, threeCaps|1<<0|1<<5|1<<6|1<<7) // chown, kill, setgid, setuid
	if !strings.Contains(d.stderr.String(), "the capabilities for that are kept") {
		t.Errorf("the log does not say so:\n%s", d.stderr.String())
	}
}
