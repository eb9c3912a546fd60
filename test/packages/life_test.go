package packages

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const port = 7777

// life is an installed ebbtide on the load balancer of a lab, and players.
type life struct {
	*machine
	world *game.World
	fleet *game.Fleet
	yaml  string
}

func mustLive(t *testing.T) *life {
	t.Helper()
	l := lab.Must(t, lab.Options{})
	var at []game.Endpoint
	svc := host.Service{Name: "world", Timeouts: "{tcp: 1h, udp: 1h}", Release: "{probes: [{tcp: 7777}]}"}
	for _, vip := range []netip.Addr{lab.VIP4, lab.VIP6} {
		at = append(at, game.TCP(vip, port), game.UDP(vip, port))
		for _, network := range []string{"tcp", "udp"} {
			svc.Listeners = append(svc.Listeners, `{vip: "`+vip.String()+`", protocol: `+network+`, port: 7777}`)
		}
	}
	world, err := game.NewWorld(l, at...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	x := &life{world: world, fleet: game.NewFleet(l.Client), yaml: host.YAML(l, lab.DSR, 65536, svc)}
	t.Cleanup(x.fleet.Close)
	x.machine = mustBoot(t, l.LB, l.ID)
	t.Cleanup(func() {
		if t.Failed() {
			log, err := x.try(t, "journalctl --no-pager --boot | tail -n 80")
			t.Logf("the machine's journal (%v):\n%s", err, log)
		}
	})
	return x
}

// login lets players in.
func (x *life) login(t *testing.T, n int) {
	t.Helper()
	at := []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port), game.TCP(lab.VIP6, port), game.UDP(lab.VIP6, port)}
	x.fleet.Add(t.Context(), n, game.Role{Endpoints: at, ChatTick: 2 * time.Second, StateTick: 200 * time.Millisecond})
}

// mustBeWhole has every player exchange words, and checks that nobody noticed anything.
func (x *life) mustBeWhole(t *testing.T, when string) {
	t.Helper()
	x.fleet.Exchange(1)
	if totals := x.fleet.Totals(); totals.Broken != 0 {
		t.Fatalf("%s: %d of %d players broken: %q", when, totals.Broken, totals.Players, totals.Reasons)
	}
	if faults := x.world.Faults(); len(faults) != 0 {
		t.Fatalf("%s: servers saw %d faults: %q", when, len(faults), faults[:min(len(faults), 8)])
	}
}

func TestAPackageIsInstalledRunsIsUpgradedAndRemovedWhilePlayersPlay(t *testing.T) {
	one, two := deb(t, first, "amd64"), deb(t, second, "amd64")
	x := mustLive(t)
	before := x.files(t)

	said := x.must(t, "dpkg --install "+x.shareFile(t, one))
	if !strings.Contains(said, "systemctl enable --now ebbtide") {
		t.Errorf("installing says not what comes next:\n%s", said)
	}
	x.mustFail(t, "systemctl start ebbtide") // there is no configuration yet
	x.must(t, "cp "+x.share(t, "ebbtide.yaml", []byte(x.yaml))+" /etc/ebbtide/ebbtide.yaml")
	x.must(t, "systemctl reset-failed ebbtide; systemctl enable --now ebbtide && ebbtide status") // started is ready
	x.mustRunUnprivileged(t)
	x.awaitHops(t)
	x.login(t, 5)
	x.mustBeWhole(t, "installed")

	x.testProbes(t)
	x.testReload(t)
	x.testWatchdog(t)
	x.testSocket(t)

	pid := x.number(t, "ebbtide", "MainPID")
	x.must(t, "dpkg --install "+x.shareFile(t, two))
	if now := x.number(t, "ebbtide", "MainPID"); now == pid || now == 0 {
		t.Errorf("process %d before the upgrade and %d after it", pid, now)
	}
	x.must(t, "ebbtide status")
	x.mustBeWhole(t, "upgraded")

	x.testRemoval(t)
	left := x.files(t)
	for name := range left {
		if !before[name] {
			t.Errorf("a purge leaves %s", name)
		}
	}
	for _, name := range []string{"passwd", "group"} {
		if out, err := x.try(t, "getent "+name+" ebbtide"); err == nil {
			t.Errorf("a purge leaves %s", out)
		}
	}
	if out := x.must(t, "ip -details link show type veth; ip address"); strings.Contains(out, "xdp") || strings.Contains(out, lab.VIP4.String()+"/32") {
		t.Errorf("a purge leaves a data plane:\n%s", out)
	}
}

// mustRunUnprivileged checks who the daemon is and what it may.
func (x *life) mustRunUnprivileged(t *testing.T) {
	t.Helper()
	pid := x.property(t, "ebbtide", "MainPID")
	status := x.must(t, "ps -o user= -p "+pid+" 2>/dev/null || stat -c %U /proc/"+pid+"; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/"+pid+"/status")
	// CAP_NET_ADMIN is 12, CAP_PERFMON 38 and CAP_BPF 39.
	for _, want := range []string{"ebbtide\n", "CapEff:\t000000c000001000\n", "CapBnd:\t000000c000001000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the daemon is\n%s, want %q", status, want)
		}
	}
}

// testProbes has the probe net ask backends, for the daemon, which may not make one.
func (x *life) testProbes(t *testing.T) {
	t.Helper()
	x.must(t, "echo 'PROBENET=--address 10.77.0.250 --address fd77::250 --interface eth0' >/etc/ebbtide/probenet.env && systemctl start ebbtide-probenet")
	var verified api.Verification
	lab.Eventually(t, "the probe net", func() bool {
		out, err := x.try(t, "ebbtide verify world -o json")
		return err == nil && json.Unmarshal([]byte(out), &verified) == nil && !strings.Contains(out, "no probe net")
	})
	for _, c := range verified.Checks {
		if !c.OK || strings.Contains(c.Detail, "not asked") {
			t.Errorf("verify: %+v", c)
		}
	}
	x.must(t, "systemctl stop ebbtide-probenet && rm /etc/ebbtide/probenet.env")
}

// awaitHops waits until each backend can be reached.
func (x *life) awaitHops(t *testing.T) {
	t.Helper()
	lab.Eventually(t, "next hops of all backends", func() bool {
		var st api.Status
		if err := json.Unmarshal([]byte(x.must(t, "ebbtide status -o json")), &st); err != nil {
			t.Fatal(err)
		}
		for _, g := range st.Services[0].Generations {
			if !host.Resolved(g) {
				return false
			}
		}
		return true
	})
}

// testReload checks that a file that is not sound changes nothing and is said, by both ways to reload.
func (x *life) testReload(t *testing.T) {
	t.Helper()
	pid := x.number(t, "ebbtide", "MainPID")
	x.must(t, "sed -i 's/tcp: 1h/tcp: 90m/' /etc/ebbtide/ebbtide.yaml && systemctl reload ebbtide")
	if out := x.must(t, "ebbtide plan"); !strings.Contains(out, "no changes") {
		t.Errorf("a reload by systemctl leaves changes:\n%s", out)
	}
	x.must(t, "sed -i 's/tcp: 90m/tcp: ninety/' /etc/ebbtide/ebbtide.yaml")
	x.mustFail(t, "systemctl reload ebbtide")
	x.must(t, "kill -HUP "+x.property(t, "ebbtide", "MainPID"))
	lab.Eventually(t, "the journal to tell of the mistake", func() bool { return len(x.errors(t)) > 0 })
	for _, e := range x.errors(t) {
		if e["EBBTIDE_ERR"] == "" || e["SYSLOG_IDENTIFIER"] != "ebbtide" || e["PRIORITY"] != "3" {
			t.Errorf("a line of the journal has the fields %v", e)
		}
	}
	x.must(t, "sed -i 's/tcp: ninety/tcp: 1h/' /etc/ebbtide/ebbtide.yaml && kill -HUP "+x.property(t, "ebbtide", "MainPID"))
	lab.Eventually(t, "a reload by SIGHUP", func() bool {
		out, err := x.try(t, "ebbtide plan")
		return err == nil && strings.Contains(out, "no changes")
	})
	if now := x.number(t, "ebbtide", "MainPID"); now != pid {
		t.Errorf("process %d before the reloads and %d after them", pid, now)
	}
	x.mustBeWhole(t, "reloaded")
}

// errors are the lines of the journal that say that a reload changed nothing.
func (x *life) errors(t *testing.T) (found []map[string]string) {
	t.Helper()
	out, err := x.try(t, "journalctl --no-pager --output=json _SYSTEMD_UNIT=ebbtide.service PRIORITY=3")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(out) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) != nil {
			continue
		}
		texts := map[string]string{}
		for k, v := range fields {
			texts[k], _ = v.(string)
		}
		if strings.HasPrefix(texts["MESSAGE"], "reload: nothing was changed") {
			found = append(found, texts)
		}
	}
	return found
}

// testWatchdog stops the daemon as a hang would: systemd has to find out, and start another.
func (x *life) testWatchdog(t *testing.T) {
	t.Helper()
	// A daemon that is only slow lives: the time counts before it is stopped, too.
	x.must(t, "mkdir -p /run/systemd/system/ebbtide.service.d && printf '[Service]\\nWatchdogSec=10s\\nTimeoutAbortSec=1s\\n' >/run/systemd/system/ebbtide.service.d/watchdog.conf && systemctl daemon-reload && systemctl restart ebbtide")
	restarts := x.number(t, "ebbtide", "NRestarts")
	x.must(t, "kill -STOP "+x.property(t, "ebbtide", "MainPID"))
	x.mustBeWhole(t, "stopped")
	lab.Eventually(t, "another daemon", func() bool {
		return x.number(t, "ebbtide", "NRestarts") > restarts && x.property(t, "ebbtide", "ActiveState") == "active"
	})
	x.must(t, "rm -r /run/systemd/system/ebbtide.service.d && systemctl daemon-reload && systemctl restart ebbtide && ebbtide status")
	x.mustBeWhole(t, "hung and restarted")
}

// testSocket has systemd listen, and a client start the daemon.
func (x *life) testSocket(t *testing.T) {
	t.Helper()
	x.must(t, "systemctl stop ebbtide && systemctl enable --now ebbtide.socket")
	if state := x.property(t, "ebbtide", "ActiveState"); state != "inactive" {
		t.Errorf("nobody asked, and the daemon is %s", state)
	}
	x.must(t, "ebbtide status")
	if state := x.property(t, "ebbtide", "ActiveState"); state != "active" {
		t.Errorf("a client has its answer, and the daemon is %s", state)
	}
	if got := x.must(t, "stat -c '%U %G %a' /run/ebbtide/ebbtide.sock"); got != "ebbtide ebbtide 660\n" {
		t.Errorf("the socket is %s", got)
	}
	// Who asks while the next daemon starts waits for its answer. (Whom the one before had let in already may hear nothing.)
	x.must(t, "systemctl stop ebbtide 2>/dev/null && systemctl start --no-block ebbtide && ebbtide status")
	x.mustBeWhole(t, "started by its socket")
}

// testRemoval removes, with players who go on, and then purges, which ends them.
func (x *life) testRemoval(t *testing.T) {
	t.Helper()
	said := x.must(t, "dpkg --remove ebbtide")
	for _, want := range []string{"goes on forwarding", "/var/lib/ebbtide-removed/ebbtide detach"} {
		if !strings.Contains(said, want) {
			t.Errorf("removing says nothing of %q:\n%s", want, said)
		}
	}
	if out, err := x.try(t, "pgrep -u ebbtide"); err == nil {
		t.Errorf("removed, and its process %s runs", out)
	}
	x.mustBeWhole(t, "removed")
	x.login(t, 1) // new ones too
	x.mustBeWhole(t, "removed")
	x.fleet.Close()
	x.must(t, "dpkg --purge ebbtide")
}

// files are all of the machine's but those that any package's coming and going changes.
func (x *life) files(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for name := range strings.Lines(x.must(t, "find / /run /sys/fs/bpf -xdev")) {
		name = strings.TrimSuffix(name, "\n")
		if !slices.ContainsFunc(passing, func(p string) bool { ok, _ := filepath.Match(p, name); return ok || strings.HasPrefix(name, p) }) {
			all[name] = true
		}
	}
	return all
}

// passing are names of what dpkg, systemd and useradd keep for themselves.
var passing = []string{
	"/var/lib/dpkg/", "/var/log/", "/var/cache/", "/run/log/", "/run/systemd/", "/shared", "/tmp/", "/var/tmp/", "/etc/passwd-", "/etc/group-",
	"/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock", "/run/credentials",
}
