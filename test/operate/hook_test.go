package operate

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/lab"
)

// mustRelease gives the service a release, in YAML.
func (s *stage) mustRelease(t *testing.T, text string) {
	t.Helper()
	s.configure(t, strings.Replace(s.yaml(), "    pools:", "    release: "+text+"\n    pools:", 1))
	if _, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
}

// A hook that forks, prints megabytes and hangs, whatever one sends it, is ended at its timeout with all that it has started.
// The release stands and says why; nobody who plays notices; resumed, it goes on with that hook.
func TestAHookThatHangsForksAndPrintsMegabytesStopsItsReleaseAndNobodyElse(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	// Within its timeout it has to have started and printed all that.
	mended, children := filepath.Join(s.lab.Dir, "mended"), filepath.Join(s.lab.Dir, "children")
	script := fmt.Sprintf(`test -e %s && exit; trap "" TERM; for i in 1 2 3; do (setsid sh -c "echo \$\$ >>%s; exec sleep 1000" &) ; done; head -c 8000000 /dev/zero | tr "\\0" x; sleep 1000`,
		mended, children)
	s.mustRelease(t, fmt.Sprintf("{bake: 1s, hooks: {flip: [{exec: [/bin/sh, -c, %q], timeout: 5s, retries: 0}]}}", script))
	player := s.login(t, "blue")
	waiter := s.begin(t, "release", service, "--wait", "--force")
	waiter.says(t, "world: release 1: flipping")
	failed := s.mustBecome(t, "failed")
	if !strings.Contains(failed.Why, "it took longer than its timeout of 5s") {
		t.Errorf("it failed because: %s", failed.Why)
	}
	for _, pid := range numbersIn(t, children, 3) {
		mustBeGone(t, pid)
	}
	var came struct{ Output string }
	all := s.history(t, api.HistoryRequest{Act: "hook"})
	last := all[len(all)-1]
	if err := json.Unmarshal(last.After, &came); err != nil || last.Stage != journal.Failed {
		t.Fatalf("%+v, %v", last, err)
	}
	if n := len(came.Output); n < 8<<10 || n > 32<<10 || !strings.Contains(came.Output, "bytes left out") {
		t.Errorf("%d bytes of its output are kept", n)
	}
	player.Exchange(1)
	s.login(t, "green") // it had flipped
	if err := os.WriteFile(mended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.do(t, "release", "resume", service).mustBe(t, 0, "…", "")
	s.mustBecome(t, "draining")
	s.mustBeWhole(t)
}

// numbersIn waits until a file has so many numbers.
func numbersIn(t *testing.T, path string, n int) (numbers []int) {
	t.Helper()
	lab.Eventually(t, fmt.Sprintf("%d numbers in %s", n, path), func() bool {
		text, _ := os.ReadFile(path)
		fields := strings.Fields(string(text))
		numbers = nil
		for _, f := range fields {
			number, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, number)
		}
		return len(numbers) >= n
	})
	return numbers
}

func mustBeGone(t *testing.T, pid int) {
	t.Helper()
	lab.Eventually(t, fmt.Sprintf("process %d to be gone", pid), func() bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err != nil || len(env) == 0 // a zombie has none
	})
}

// What the hook of a killed daemon had started does not run beside the hook of the next one, which has the same key.
func TestWhatAKilledDaemonsHookStartedIsEndedBeforeItRunsAgain(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	children, keys := filepath.Join(s.lab.Dir, "children"), filepath.Join(s.lab.Dir, "keys")
	// One that has ended and that nobody has waited for yet has no command line.
	script := fmt.Sprintf(`for p in $(cat %[1]s); do grep -qas . /proc/$p/cmdline && echo "$p lives" >>%[2]s; done; echo "$EBBTIDE_KEY" >>%[2]s; setsid sleep 1000 </dev/null >/dev/null 2>&1 & `+
		`echo $! >>%[1]s; test $(wc -l <%[2]s) -gt 1 || wait`, children, keys)
	if err := os.WriteFile(children, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustRelease(t, fmt.Sprintf("{bake: 1h, hooks: {flip: [{exec: [/bin/sh, -c, %q]}]}}", script))
	s.login(t, "blue")
	s.do(t, "release", service, "--force").mustBe(t, 0, "…", "")
	first := numbersIn(t, children, 1)[0]
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", first)); err != nil || len(env) == 0 {
		t.Fatalf("it died with the daemon, and this test shows nothing: %v", err)
	}
	s.start(t)
	s.host.AwaitHops(t)
	s.mustBecome(t, "baking")
	mustBeGone(t, first)
	t.Cleanup(func() { // it is in a session of its own and holds nothing: nobody ends it
		unix.Kill(numbersIn(t, children, 2)[1], unix.SIGKILL)
	})
	lines := strings.Fields(mustRead(t, keys))
	if len(lines) != 2 || lines[0] != lines[1] {
		t.Errorf("it ran with %q, want twice with one key", lines)
	}
	s.login(t, "green")
	s.mustBeWhole(t)
}

// A Prometheus that is away lets nothing pass and takes nothing back: the release waits and says for whom, and goes on by
// itself when it answers.
func TestAReleaseWaitsForAPrometheusThatIsAway(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	ln, err := s.lab.LB.Listen("tcp", netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	s.mustRelease(t, fmt.Sprintf(`{bake: 1s, gates: [{prometheus: {url: "http://%s", query: up}, min: 1, window: 5s, on_fail: rollback}]}`, at))
	s.login(t, "blue")
	s.do(t, "release", service, "--force").mustBe(t, 0, "…", "")
	s.mustWaitFor(t, "gate prometheus: unknown: ask Prometheus at http://"+at.String()+": ")
	s.login(t, "green")
	if ln, err = s.lab.LB.Listen("tcp", at); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}`)
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	s.mustBecome(t, "draining")
	s.mustBeWhole(t)
}
