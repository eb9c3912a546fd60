package operate

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/doctor"
	"github.com/ebbtide/ebbtide/test/lab"
)

// One backend is set up by the command, the other one by what it prints. The doctor, on the load balancer, tells who is not.
func TestBackendsThatWereSetUpServePlayersAndTheDoctorTellsOfThoseThatWereNot(t *testing.T) {
	t.Parallel()
	const setup = "ebbtide backend setup --mode dsr --vip 203.0.113.10 --vip 2001:db8::10"
	var asked func(t *testing.T) (map[string]doctor.Finding, int)
	s := mustSet(t, setting{timeouts: calm, vips: []netip.Addr{lab.VIP4, lab.VIP6}, bare: func(t *testing.T, s *stage) {
		file := filepath.Join(t.TempDir(), "ebbtide.yaml")
		if err := os.WriteFile(file, []byte(s.yaml()), 0o600); err != nil {
			t.Fatal(err)
		}
		asked = func(t *testing.T) (map[string]doctor.Finding, int) { return examine(t, s.lab.LB, file) }
		blue, green := s.lab.Backend("blue1"), s.lab.Backend("green1")
		for _, b := range []*lab.Backend{blue, green} {
			if found, code := asked(t); found[b.V4.String()].Verdict != doctor.Note || code != 0 {
				t.Errorf("exit code %d of a backend that holds no VIP: %+v", code, found[b.V4.String()])
			}
		}
		// It holds the VIP, and tells everybody.
		mustRunIn(t, blue.NS, "ip address add 203.0.113.10/32 dev lo")
		found, code := asked(t)
		if f := found[blue.V4.String()]; f.Verdict != doctor.Fails || !strings.Contains(f.Detail, "answers ARP") || !strings.Contains(f.Do, setup[:40]) || code != 1 {
			t.Errorf("exit code %d of a backend that answers ARP for the VIP: %+v", code, f)
		}
		mustRunIn(t, blue.NS, setup+" --apply >/dev/null && "+setup+" --apply >/dev/null") // it can be run again
		mustRunIn(t, green.NS, setup+" | sh -e >/dev/null")
	}})
	found, code := asked(t)
	for _, b := range s.lab.Backends {
		if f := found[b.V4.String()]; f.Verdict != doctor.OK || code != 0 {
			t.Errorf("exit code %d of a backend that was set up: %+v", code, f)
		}
	}
	if err := s.lab.ForgetNeighbours(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.host.AwaitHops(t)
	s.login(t, "blue")
	s.flip(t)
	s.login(t, "green")
	s.fleet.Exchange(2)
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		t.Errorf("%d of %d players broken: %q", totals.Broken, totals.Players, totals.Reasons)
	}
	// The program is attached now, and backends that it sends players to are seen as well as before.
	if found, code := asked(t); code != 0 || found[s.lab.Backends[0].V4.String()].Verdict != doctor.OK {
		t.Errorf("exit code %d while players play: %+v", code, found)
	}
}

// examine gives the doctor's findings by what they are on, and its exit code.
func examine(t *testing.T, ns *lab.NS, file string) (map[string]doctor.Finding, int) {
	t.Helper()
	out, code := runIn(t, ns, "ebbtide doctor --config "+file+" -o json")
	var all []doctor.Finding
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&all); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := map[string]doctor.Finding{}
	for _, f := range all {
		if f.Verdict == doctor.Fails && f.Check != "backend" {
			t.Errorf("of a lab that works: %+v", f)
		}
		found[f.On] = f
	}
	return found, code
}

func mustRunIn(t *testing.T, ns *lab.NS, command string) string {
	t.Helper()
	out, code := runIn(t, ns, command)
	if code != 0 {
		t.Fatalf("%s: exit code %d\n%s", command, code, out)
	}
	return out
}

// runIn runs a command in a namespace.
func runIn(t *testing.T, ns *lab.NS, command string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says it
	return out.String(), cmd.ProcessState.ExitCode()
}
