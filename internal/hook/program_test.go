package hook

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
)

// daemonOf is set in a process that this test starts to be killed while its hook runs.
const daemonOf = "EBBTIDE_TEST_DAEMON_OF"

// keyOf is the key of that hook, where it is not the usual one.
const keyOf = "EBBTIDE_TEST_KEY_OF"

func TestMain(m *testing.M) {
	if script := os.Getenv(daemonOf); script != "" {
		c := call()
		c.Key = cmp.Or(os.Getenv(keyOf), c.Key)
		NewRunner(Options{}).Run(context.Background(), shell(script), c)
		os.Exit(1) // it was to be killed
	}
	os.Exit(m.Run())
}

// shell is a hook that runs a script; of the time that it is given none is waited for when all goes well.
func shell(script string) config.Hook {
	return config.Hook{Exec: []string{"/bin/sh", "-c", script}, Timeout: time.Minute}
}

func call() Call {
	return Call{
		Key: "world/3/flip/1", Transition: "flip", Service: "world", Release: 3,
		From:  api.GenerationRef{Number: 4, Colour: "blue", Version: "v1.9"},
		To:    api.GenerationRef{Number: 5, Colour: "green", Version: "v2.0"},
		Actor: "ops", Reason: "patch day", Backends: []string{"10.0.0.11", "10.0.0.12"},
		Left: []Left{{Client: "198.51.100.7:40000", Protocol: "udp", Port: 7777, Backend: "10.0.0.11", AgeSeconds: 7200, IdleSeconds: 1}},
		At:   time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC),
	}
}

// runner tries again at once. Of its grace, too, none is waited for when all goes well.
func runner() *Runner { return graceful(time.Minute) }

// deaf is the grace of those who do not hear SIGTERM: it is over before they were found and told.
const deaf = time.Nanosecond

func graceful(grace time.Duration) *Runner {
	return NewRunner(Options{Grace: grace, Backoff: func(int) time.Duration { return 0 }})
}

func run(t *testing.T, h config.Hook) Result {
	t.Helper()
	return runner().Run(t.Context(), h, call())
}

func mustSay(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want an error with: %s", err, text)
	}
}

// mustBeGone checks that of the processes whose numbers a hook said none is left.
func mustBeGone(t *testing.T, numbers string) {
	t.Helper()
	if numbers == "" {
		t.Error("the hook said no number")
	}
	for _, text := range strings.Fields(numbers) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, zombie, err := sessionOf(pid); err == nil && !zombie {
			t.Errorf("process %d is left", pid)
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func TestAProgramHasItsCallOnStandardInput(t *testing.T) {
	res := run(t, shell("cat"))
	if res.Err != nil || res.Attempts != 1 || res.ExitCode != 0 {
		t.Fatalf("%+v", res)
	}
	var got Call
	if err := json.Unmarshal([]byte(res.Output), &got); err != nil || !reflect.DeepEqual(got, call()) {
		t.Errorf("it was told %s (%v)", res.Output, err)
	}
}

func TestAProgramHasItsCallInVariablesAndNothingOfTheDaemons(t *testing.T) {
	t.Setenv("DAEMONS_SECRET", "hunter2")
	res := run(t, config.Hook{Exec: []string{"/usr/bin/env"}, Timeout: time.Minute})
	for _, want := range []string{
		"EBBTIDE_KEY=world/3/flip/1", "EBBTIDE_ATTEMPT=1", "EBBTIDE_TRANSITION=flip", "EBBTIDE_SERVICE=world", "EBBTIDE_RELEASE=3",
		"EBBTIDE_FROM_GENERATION=4", "EBBTIDE_FROM_COLOUR=blue", "EBBTIDE_FROM_VERSION=v1.9", "EBBTIDE_TO_GENERATION=5",
		"EBBTIDE_TO_COLOUR=green", "EBBTIDE_TO_VERSION=v2.0", "EBBTIDE_ACTOR=ops", "EBBTIDE_REASON=patch day", "EBBTIDE_LEFT=1",
		"EBBTIDE_BACKENDS=10.0.0.11 10.0.0.12", "EBBTIDE_AT=2026-03-01T14:00:00Z", "HOME=/root",
	} {
		if !strings.Contains("\n"+res.Output, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(res.Output, "hunter2") || strings.Contains(res.Output, "EBBTIDE_DEADLINE") {
		t.Errorf("more than it is to have:\n%s", res.Output)
	}
}

func TestArgumentsPassNoShell(t *testing.T) {
	res := run(t, config.Hook{Exec: []string{"/usr/bin/printf", "%s\n", "$HOME; *", "`id`"}, Timeout: time.Minute})
	if res.Output != "$HOME; *\n`id`\n" {
		t.Errorf("they arrive as %q", res.Output)
	}
}

func TestALongCallBlocksNobody(t *testing.T) {
	c := call()
	c.Left = make([]Left, 50_000) // several megabytes
	c.Backends = make([]string, 40_000)
	c.Reason = strings.Repeat("x", 1<<20)
	for name, h := range map[string]config.Hook{"read": shell("wc -c"), "not read": shell("echo 0")} {
		res := runner().Run(t.Context(), h, c)
		n, _ := strconv.Atoi(strings.TrimSpace(res.Output))
		if want := 4 << 20; res.Err != nil || name == "read" && n < want {
			t.Errorf("%s: %d bytes, %v", name, n, res.Err)
		}
	}
}

func TestAFailureIsTriedAgainWithTheSameKey(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	h := shell(`echo "$EBBTIDE_KEY $EBBTIDE_ATTEMPT" >>` + seen + `; test $EBBTIDE_ATTEMPT = 3 && cat ` + seen)
	h.Retries = 5
	res := run(t, h)
	if res.Err != nil || res.Attempts != 3 || res.Output != "world/3/flip/1 1\nworld/3/flip/1 2\nworld/3/flip/1 3\n" {
		t.Errorf("%+v", res)
	}
}

func TestHowAProgramFailedIsTold(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for _, row := range []struct {
		name     string
		hook     config.Hook
		attempts int
		exit     int
		signal   string
		says     string
	}{
		{"an exit code", shell("echo one; echo two >&2; exit 3"), 3, 3, "", `hook /bin/sh, attempt 3 of 3: exit code 3, having said "two"`},
		{"a signal", shell("kill -SEGV $$"), 3, -1, "SIGSEGV", "the signal SIGSEGV ended it"},
		{"no program", config.Hook{Exec: []string{none}}, 1, -1, "", "attempt 1 of 3: start it: fork/exec " + none + ": no such file"},
		{"no such user", config.Hook{Exec: []string{"/bin/true"}, User: "no-such"}, 1, -1, "", "there is no user no-such on this machine"},
		{"a hang", config.Hook{Exec: []string{"/bin/sleep", "1000"}, Timeout: 200 * time.Millisecond}, 3, -1, "SIGTERM", "it took longer than its timeout of 200ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := row.hook
			h.Retries = 2
			if h.Timeout == 0 {
				h.Timeout = time.Minute
			}
			res := run(t, h)
			mustSay(t, res.Err, row.says)
			if res.Attempts != row.attempts || res.ExitCode != row.exit || res.Signal != row.signal {
				t.Errorf("%+v", res)
			}
		})
	}
}

// Each leaves something behind, and says its number.
func TestNothingOfAProgramIsLeft(t *testing.T) {
	for _, row := range []struct {
		name, script string
		grace        time.Duration
	}{
		{"a child that holds the output", "sleep 1000 & echo $!", time.Minute},
		{"a child with no output", "sleep 1000 >/dev/null 2>&1 & echo $!", time.Minute},
		{"a child in a group of its own", "set -m 2>/dev/null; sleep 1000 & echo $!", time.Minute},
		{"a child in a session of its own that holds the output", "mkfifo $fifo; setsid sh -c 'echo $$; echo >$fifo; exec sleep 1000' & read x <$fifo", time.Minute},
		{"children that are deaf", "trap '' TERM; sleep 1000 & echo $!; sleep 1000 & echo $!", deaf},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := shell("export fifo=" + filepath.Join(t.TempDir(), "fifo") + "; " + row.script)
			res := graceful(row.grace).Run(t.Context(), h, call())
			if res.Err != nil {
				t.Errorf("%+v", res)
			}
			numbers, note, _ := strings.Cut(res.Output, "\n[")
			mustBeGone(t, numbers)
			if !strings.Contains(note, "that it left behind were ended]") {
				t.Errorf("nothing tells of it: %q", res.Output)
			}
		})
	}
}

func TestOfALongOutputTheBeginningAndTheEndAreKept(t *testing.T) {
	res := run(t, shell("echo first; head -c 67108864 /dev/zero | tr '\\0' x; echo; echo last"))
	out := res.Output
	if res.Err != nil || !strings.HasPrefix(out, "first\nx") || !strings.HasSuffix(out, "x\nlast\n") || len(out) > 3*keptEnd {
		t.Errorf("%d bytes are kept, %v", len(out), res.Err)
	}
	if want := fmt.Sprintf("\n[%d bytes left out]\n", 6+67108864+1+5-2*keptEnd); !strings.Contains(out, want) {
		t.Errorf("no word of what is left out: %q", want)
	}
}

func TestAProgramRunsAsItsUser(t *testing.T) {
	h := shell("id -un; id -Gn; echo $HOME; echo to the error output >/dev/stderr; cat /dev/stdin; touch /root/x")
	h.User = "nobody"
	res := run(t, h)
	for _, want := range []string{"nobody\nnogroup\n/nonexistent\nto the error output\n", `{"key":"world/3/flip/1"`, "touch: cannot touch"} {
		if !strings.Contains(res.Output, want) {
			t.Errorf("there is no %q in:\n%s", want, res.Output)
		}
	}
}

func TestOnlyRootRunsProgramsAsOthers(t *testing.T) {
	if _, err := identify("nobody", 1000); err == nil || !strings.Contains(err.Error(), "the daemon is not root") {
		t.Errorf("got %v", err)
	}
	for name, euid := range map[string]int{"": 1000, "nobody": 65534, "65534": 65534, "root": 0} {
		if id, err := identify(name, euid); err != nil || id.credential != nil {
			t.Errorf("%q for the user %d: %+v, %v", name, euid, id, err)
		}
	}
}

var errStopped = errors.New("the daemon stops")

// runUntilReady ends a hook as soon as its script has written to $ready, however long that takes.
func runUntilReady(t *testing.T, script string, grace time.Duration) Result {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	fifo := mustFIFO(t)
	go func() {
		os.ReadFile(fifo)
		cancel(errStopped)
	}()
	h := shell("ready=" + fifo + "; " + script)
	h.Retries = 3
	return graceful(grace).Run(ctx, h, call())
}

func mustFIFO(t *testing.T) string {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	return fifo
}

func TestAProgramEndsWithItsContext(t *testing.T) {
	for _, row := range []struct {
		name, script string
		grace        time.Duration
		exit         int
		signal       string
	}{
		{"one that does not care", "echo $$; echo >$ready; exec sleep 1000", time.Minute, -1, "SIGTERM"},
		{"one that is deaf", "trap '' TERM; echo $$; echo >$ready; while :; do sleep 1; done", deaf, -1, "SIGKILL"},
		{"one that ends well when told", "trap 'exit 0' TERM; echo $$; echo >$ready; sleep 1000 & wait", time.Minute, 0, ""},
		{"one with children", "sleep 1000 & echo $!; echo $$; echo >$ready; wait", time.Minute, -1, "SIGTERM"},
		{"one with a child in a session of its own", "export ready; setsid sh -c 'echo $$; echo >$ready; exec sleep 1000' & wait", time.Minute, -1, "SIGTERM"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			res := runUntilReady(t, row.script, row.grace)
			if !errors.Is(res.Err, errStopped) || res.Attempts != 1 || res.ExitCode != row.exit || res.Signal != row.signal {
				t.Errorf("%+v", res)
			}
			mustBeGone(t, res.Output)
		})
	}
}

func TestAProgramDiesWithItsDaemon(t *testing.T) {
	daemon := exec.Command(os.Args[0])
	fifo := mustFIFO(t)
	daemon.Env = append(os.Environ(), daemonOf+"=echo $$ >"+fifo+"; exec sleep 1000")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	number, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(number)))
	if err != nil {
		t.Fatal(err)
	}
	hook, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(hook)
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	daemon.Wait()
	ready := []unix.PollFd{{Fd: int32(hook), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(ready, 20_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			unix.Kill(pid, unix.SIGKILL)
			t.Errorf("it lives on: %v", err)
		}
		return
	}
}

func TestHooksLeaveNoFileOpenAndManyRunAtOnce(t *testing.T) {
	before := openFiles(t)
	r := runner()
	done := make(chan Result)
	const many = 20
	for i := range many {
		script := "echo x"
		if i%2 == 0 {
			script = "sleep 1000 & echo x"
		}
		go func() { done <- r.Run(t.Context(), shell(script), call()) }()
	}
	for range many {
		if res := <-done; res.Err != nil || !strings.HasPrefix(res.Output, "x\n") {
			t.Errorf("%+v", res)
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files were open, now %d are", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestWhatIsKeptIsTheSameHoweverItComes(t *testing.T) {
	var text bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&text, "%d\n", i)
	}
	var whole output
	whole.Write(text.Bytes())
	for _, size := range []int{1, 7, keptEnd - 1, keptEnd, keptEnd + 1, 2*keptEnd + 1} {
		var o output
		for r, p := bufio.NewReader(bytes.NewReader(text.Bytes())), make([]byte, size); ; {
			n, err := r.Read(p)
			o.Write(p[:n])
			if err != nil {
				break
			}
		}
		if o.String() != whole.String() {
			t.Errorf("by %d bytes it is something else", size)
		}
	}
	if got := (&output{head: []byte("a\xff\x1b")}).String(); got != "a\uFFFD\x1b" {
		t.Errorf("bytes that are no text come as %q", got)
	}
}

func TestThePauseGrowsUpToAMinute(t *testing.T) {
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 100: time.Minute} {
		if got := backoff(n); got != want {
			t.Errorf("after %d attempts it is %s, want %s", n, got, want)
		}
	}
}
