package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

// browser is a Chromium within a network namespace.
type browser struct {
	in  io.WriteCloser
	out *bufio.Scanner
	log *strings.Builder
}

// mustBrowse starts one. It ends with the test.
func mustBrowse(t *testing.T, ns *lab.NS) *browser {
	t.Helper()
	mustHaveModules(t, ".")
	cmd := exec.Command("node", "browser.mjs")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{in: in, out: bufio.NewScanner(out), log: &strings.Builder{}}
	b.out.Buffer(nil, 4<<20)
	cmd.Stderr = b.log
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the browser: %v\n%s", err, b.log)
			}
		case <-time.After(20 * time.Second):
			t.Error("the browser does not end", cmd.Process.Kill(), <-ended)
		}
	})
	return b
}

// mustHaveModules installs what package-lock.json names, unless it is there.
func mustHaveModules(t *testing.T, dir string) {
	t.Helper()
	for _, need := range []string{"node", "npm"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("%v: make web-tools installs it", err)
		}
	}
	if _, err := os.Stat("/usr/bin/chromium"); err != nil {
		t.Fatalf("%v: make web-tools installs it", err)
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

// play has the browser do something, and gives what it says of it.
func play[T any](t *testing.T, b *browser, what string, args map[string]any) (value T) {
	t.Helper()
	if err := b.ask(what, args, &value); err != nil {
		t.Fatalf("%s %v: %v", what, args, err)
	}
	return value
}

func (b *browser) ask(what string, args map[string]any, value any) error {
	line := map[string]any{"play": what}
	for name, arg := range args {
		line[name] = arg
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("%w\n%s", err, b.log)
	}
	if !b.out.Scan() {
		return fmt.Errorf("the browser has ended: %w\n%s", errors.Join(b.out.Err(), io.EOF), b.log)
	}
	answer := struct {
		Value any    `json:"value"`
		Error string `json:"error"`
	}{Value: value}
	if err := json.Unmarshal(b.out.Bytes(), &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// do is for what has nothing to say.
func (b *browser) do(t *testing.T, what string, args map[string]any) {
	t.Helper()
	play[any](t, b, what, args)
}

// until waits until a place of the page has a text.
func (b *browser) until(t *testing.T, at, has string) {
	t.Helper()
	if err := b.ask("until", map[string]any{"at": at, "has": has}, new(any)); err != nil {
		var now []string
		_ = b.ask("text", map[string]any{"at": at}, &now)
		t.Fatalf("%s never had %q: %v\nit has %q", at, has, err, now)
	}
}

// aDialog is where to look once there is one.
const aDialog = "a dialog"

// mustPass looks for what is wrong for those who can't see, or use the keyboard alone.
func (b *browser) mustPass(t *testing.T, where string) {
	t.Helper()
	for _, v := range play[[]string](t, b, "axe", map[string]any{"dialog": where == aDialog}) {
		t.Errorf("%s: axe: %s", where, v)
	}
}
