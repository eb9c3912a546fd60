package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/backend"
	"github.com/ebbtide/ebbtide/internal/doctor"
)

func TestDoctor(t *testing.T) {
	finds := func(found ...doctor.Finding) func(*env) {
		return func(e *env) {
			e.Examine = func(context.Context, doctor.Host) []doctor.Finding { return found }
		}
	}
	well := doctor.Finding{Check: "kernel", Verdict: doctor.OK, Detail: "Linux 6.12.1"}
	slow := doctor.Finding{Check: "queues", On: "eth0", Verdict: doctor.Note, Detail: "1 receive queues, 8 CPUs", Do: "ethtool -L eth0 combined 8"}
	sick := doctor.Finding{Check: "offloads", On: "eth0", Verdict: doctor.Fails, Detail: "LRO", Do: "ethtool -K eth0 lro off"}
	example := "doctor --config ../../ebbtide.example.yaml"
	check(t, "doctor", []row{
		{name: "fit", args: example, env: finds(well, slow)},
		{name: "not fit", args: example, env: finds(well, slow, sick), code: exitFailed},
		{name: "as json", args: example + " -o json", env: finds(sick), code: exitFailed},
		{name: "no such file", args: "doctor --config no-such.yaml", env: finds(well), code: exitUsage},
	})
}

func TestBackendSetup(t *testing.T) {
	applies := func(err error) func(*env) {
		return func(e *env) { e.ApplySetup = func([]backend.Step) error { return err } }
	}
	const dsr, ipip = "backend setup --mode dsr --vip 203.0.113.10 --vip 2001:db8::10", "backend setup --mode ipip --vip 203.0.113.10"
	check(t, "backend", []row{
		{name: "dsr", args: dsr},
		{name: "ipip", args: ipip},
		{name: "as json", args: ipip + " -o json"},
		{name: "applied", args: dsr + " --apply", env: applies(nil)},
		{name: "not applied", args: dsr + " --apply", env: applies(errors.New("not permitted")), code: exitFailed},
		{name: "nat", args: "backend setup --mode nat --vip 203.0.113.10", code: exitUsage},
		{name: "no mode", args: "backend setup --vip 203.0.113.10", code: exitUsage},
		{name: "no vip", args: "backend setup --mode dsr", code: exitUsage},
		{name: "a vip that is none", args: "backend setup --mode dsr --vip world", code: exitUsage},
	})
}

func TestDetachWithoutADaemonLooksWhereDaemonsPin(t *testing.T) {
	var dirs []string
	socket := filepath.Join(t.TempDir(), "none")
	out, code := invoke(t, socket, func(e *env) {
		e.Detach = func(_ context.Context, dir string) error {
			dirs = append(dirs, dir)
			return nil
		}
	}, "detach")
	if got := strings.Join(dirs, " "); code != exitDone || got != defaultBPFDir+" "+unitBPFDir {
		t.Errorf("detached in %s:\n%s", got, out)
	}
}

func TestTheManualHasAPageForEachVerb(t *testing.T) {
	dir := t.TempDir()
	if out, code := invoke(t, "", nil, "man", dir); code != exitDone {
		t.Fatal(out)
	}
	for _, cmd := range newRoot(env{getenv: func(string) string { return "" }}).Commands() {
		if !cmd.IsAvailableCommand() {
			continue
		}
		page, err := os.ReadFile(filepath.Join(dir, "ebbtide-"+cmd.Name()+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, line := range strings.Split(string(page), "\n") {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.HasPrefix(line, ".SH ") && !strings.HasPrefix(line, ".TH ") && line != ".nf" && line != ".fi" {
				t.Errorf("%s: a line of text that is a request: %s", cmd.Name(), line)
			}
		}
	}
}
