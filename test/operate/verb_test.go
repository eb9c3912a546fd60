package operate

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// verb is a run of the real command line.
type verb struct {
	cmd            *exec.Cmd
	stdout, stderr transcript
	over           chan struct{}
	failed         error // to wait for it; valid when over is closed
}

// transcript is what a process prints, to be read while it runs.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.buf.Write(p)
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.buf.String()
}

// newVerb is one that has not begun; it talks to the stage's daemon.
func (s *stage) newVerb(args ...string) *verb {
	v := &verb{cmd: exec.Command("ebbtide", append(args, "--socket", s.host.Options().Socket)...), over: make(chan struct{})}
	v.cmd.Stdout, v.cmd.Stderr = &v.stdout, &v.stderr
	return v
}

// begin begins a verb.
func (s *stage) begin(t *testing.T, args ...string) *verb {
	t.Helper()
	v := s.newVerb(args...)
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.follow(t)
	return v
}

// follow waits for the end of a verb that was started. One that has not ended when the test has is killed.
func (v *verb) follow(t *testing.T) {
	go func() {
		if err := v.cmd.Wait(); !errors.As(err, new(*exec.ExitError)) {
			v.failed = err
		}
		close(v.over)
	}()
	t.Cleanup(func() {
		v.cmd.Process.Kill() // it may have ended
		<-v.over
	})
}

// do runs a verb to its end.
func (s *stage) do(t *testing.T, args ...string) result {
	t.Helper()
	return s.begin(t, args...).end(t)
}

// mustWait checks that it has not ended yet.
func (v *verb) mustWait(t *testing.T) {
	t.Helper()
	select {
	case <-v.over:
		t.Fatalf("%v has ended: %+v", v.cmd.Args[1:], v.end(t))
	default:
	}
}

// says waits until it has printed something.
func (v *verb) says(t *testing.T, what string) {
	t.Helper()
	lab.Eventually(t, "ebbtide to say "+what, func() bool { return strings.Contains(v.stdout.String(), what) })
}

// end waits for the end.
func (v *verb) end(t *testing.T) result {
	t.Helper()
	<-v.over
	if v.failed != nil {
		t.Fatal(v.failed)
	}
	return result{v.cmd.Args[1:], v.cmd.ProcessState.ExitCode(), v.stdout.String(), v.stderr.String()}
}

// result is what a verb came to.
type result struct {
	args           []string
	code           int
	stdout, stderr string
}

// mustBe checks the exit code and all that was printed, where … stands for anything. What follows relies on it.
func (r result) mustBe(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code || !matches(r.stdout, stdout) || !matches(r.stderr, stderr) {
		t.Fatalf("%v: exit %d\n%s%s\nwant exit %d\n%s%s", r.args, r.code, r.stdout, r.stderr, code, stdout, stderr)
	}
}

func matches(have, want string) bool {
	return regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$").MatchString(have)
}

// decode reads what was printed by -o json; each document is given to add. The exit code must be 0.
func decode[T any](t *testing.T, r result, add func(T)) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("%v: exit %d: %s", r.args, r.code, r.stderr)
	}
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	dec.DisallowUnknownFields()
	for dec.More() {
		var v T
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%v: %v in\n%s", r.args, err, r.stdout)
		}
		add(v)
	}
}
