package main

import (
	"context"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestWhoMistypesIsToldWhatHeMayHaveMeant(t *testing.T) {
	check(t, "suggest", []row{
		{name: "verb", args: "filp world", code: exitUsage},
		{name: "nothing like a verb", args: "xyzzy", code: exitUsage},
		{name: "flag", args: "flip world --wiat", code: exitUsage},
		{name: "nothing like a flag", args: "flip world --quickly", code: exitUsage},
		{name: "service", args: "top wolrd", daemon: alive, code: exitUsage},
		{name: "no daemon", args: "flip world", code: exitNoDaemon},
	})
}

// Colour is for terminals, and for those who have not said that they want none.
func TestColourIsForTerminalsAndNoColorIsObeyed(t *testing.T) {
	drained := &apitest.Fake{OnDrain: func(_ context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
		return yield(api.DrainProgress{Service: "world", Generation: blue3, State: api.StateDrained, Done: true})
	}}
	socket, _ := apitest.Serve(t, drained)
	for _, r := range []struct {
		name     string
		terminal bool
		vars     map[string]string
		want     bool
	}{
		{"a terminal", true, map[string]string{"TERM": "xterm"}, true},
		{"a file", false, map[string]string{"TERM": "xterm"}, false},
		{"NO_COLOR", true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{"NO_COLOR that is empty", true, map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true},
		{"a dumb terminal", true, map[string]string{"TERM": "dumb"}, false},
	} {
		change := func(e *env) {
			e.terminal, e.errTerminal = r.terminal, r.terminal
			e.getenv = func(key string) string {
				if key == socketEnv {
					return socket
				}
				return r.vars[key]
			}
		}
		var e env // stdout alone: what most verbs print there has no colour in a file for other reasons, too
		change(&e)
		e.errTerminal = true
		if c := (&cli{env: e}); c.paint(green, "text") != "text" != r.want || c.topOptions("", 0).Colour != r.want {
			t.Errorf("%s: colour of stdout wanted: %t", r.name, r.want)
		}
		for line, sgr := range map[string]string{"drain world --wait": "\x1b[32m", "filp": "\x1b[31;1mebbtide:\x1b[m"} {
			out, _ := invoke(t, socket, change, strings.Fields(line)...)
			if strings.Contains(out, sgr) != r.want {
				t.Errorf("%s, %s: colour wanted: %t\n%q", r.name, line, r.want, out)
			}
		}
	}
}
