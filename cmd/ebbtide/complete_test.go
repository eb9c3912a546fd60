package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// alive is a daemon with something to complete.
var alive = &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) {
	return api.Status{Services: []api.Service{
		{Name: "lobby", Group: "shard-1", Live: api.GenerationRef{Number: 1, Colour: "blue", Version: "7"}},
		{
			Name: "world", Group: "shard-1", Live: blue3,
			Releases: []api.Release{{Number: 5, State: "observe", Gates: []api.ReleaseGate{{Gate: "ops", Verdict: "pending"}}}},
			Generations: []api.Generation{
				{GenerationRef: blue3, State: api.StateLive, Sessions: api.Sessions{Total: 212}, Backends: []api.Backend{{Addresses: []string{"10.0.0.11", "fd00::11"}}}},
				{GenerationRef: green4, State: api.StateCandidate, Backends: []api.Backend{{Addresses: []string{"10.0.1.11"}}}},
			},
		},
	}}, nil
}}

func TestTheShellCompletesWhatIsThere(t *testing.T) {
	socket, _ := apitest.Serve(t, alive)
	generations := "3\tworld: version 1.9, live, sessions 212\n4\tworld: version 2.0, candidate, sessions 0\n:4\n"
	for args, want := range map[string]string{
		"__complete flip ":                            "lobby\tgeneration 1 (blue, version 7) is live\nworld\tgeneration 3 (blue, version 1.9) is live\n:4\n",
		"__complete release status ":                  "lobby\tgeneration 1 (blue, version 7) is live\nworld\tgeneration 3 (blue, version 1.9) is live\n:4\n",
		"__complete flip world --to ":                 "blue\tgeneration 3, version 1.9, live\ngreen\tgeneration 4, version 2.0, candidate\n:4\n",
		"__complete flip --group ":                    "shard-1\tlobby, world\n:4\n",
		"__complete evict world --generation ":        generations,
		"__complete evict lobby --generation ":        ":4\n",
		"__complete flows --generation ":              generations,
		"__complete drain world --wait --generation ": generations,
		"__complete events --service ":                "lobby\tgeneration 1 (blue, version 7) is live\nworld\tgeneration 3 (blue, version 1.9) is live\n:4\n",
		"__complete trace --service ":                 "lobby\tgeneration 1 (blue, version 7) is live\nworld\tgeneration 3 (blue, version 1.9) is live\n:4\n",
		"__complete plan --release ":                  "lobby\tgeneration 1 (blue, version 7) is live\nworld\tgeneration 3 (blue, version 1.9) is live\n:4\n",
		"__complete release pause world --number ":    "5\tworld: observe\n:4\n",
		"__complete release approve world ":           "ops\tpending\n:4\n",
		"__complete health world ":                    "10.0.0.11\tgeneration 3 (blue, version 1.9)\nfd00::11\tgeneration 3 (blue, version 1.9)\n10.0.1.11\tgeneration 4 (green, version 2.0)\n:4\n",
		"__complete health world 10.0.0.11 ":          "up\ndown\n:4\n",
		"__complete testers world ":                   "add\nremove\n:4\n",
		"__complete top w":                            "lobby\tgeneration 1 (blue, version 7) is live\nworld\tgeneration 3 (blue, version 1.9) is live\n:4\n",
	} {
		out, code := invoke(t, socket, nil, strings.Split(args, " ")...)
		if code != exitDone || !strings.Contains(out, args+"\n"+want) {
			t.Errorf("want %q:\n%s", want, out)
		}
	}
}

// What each shell makes of its script: the real shell, the real command and a daemon.
func TestEachShellOffersTheServices(t *testing.T) {
	socket, _ := apitest.Serve(t, alive)
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "ebbtide"), ".").CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	for shell, script := range map[string]string{
		"bash": `source /usr/share/bash-completion/bash_completion
			source <(ebbtide completion bash)
			COMP_WORDS=(ebbtide flip w) COMP_CWORD=2 COMP_LINE="ebbtide flip w" COMP_POINT=14 COMP_TYPE=9 COMP_KEY=9
			__start_ebbtide ebbtide w flip; printf '%s\n' "${COMPREPLY[@]}"`,
		"fish": `ebbtide completion fish | source; complete -C "ebbtide flip w"`,
		// zsh completes only where somebody types; compadd tells what it would be offered.
		"zsh": `autoload -Uz compinit; compinit -u -D; source <(ebbtide completion zsh)
			compadd() { print -l -- "$@" }; _describe() { print -l -- "${(@P)2}" "${(@P)3}" "${(@P)4}" }
			words=(ebbtide flip w) CURRENT=3; _ebbtide`,
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Fatalf("%s is not here: `make tools` installs it (%v)", shell, err)
			}
			if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); err != nil && shell == "bash" {
				t.Fatalf("bash-completion is not here, which the script of bash uses: `make tools` installs it (%v)", err)
			}
			cmd := exec.Command(shell, "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), socketEnv+"="+socket, "HOME="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "world") || strings.Contains(string(out), "lobby") && shell != "zsh" {
				t.Errorf("%s offers %q (%v), want world and not lobby", shell, out, err)
			}
		})
	}
}
