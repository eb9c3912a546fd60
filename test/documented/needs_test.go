package documented

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

// vagrant is why what makes virtual machines is not run here.
const vagrant = "`make vagrant-test` makes the machines"

// elsewhere are the lines that are not run by this test, each with the reason.
var elsewhere = map[string]string{
	"make demo":                     "it is run by .ci/run",
	"make test":                     "it is run by .ci/run, and this test by it",
	"ebbtide flip --at":             "it names a flag, and is no command",
	"ebbtide backend setup --apply": "it names a flag, and is no command",
	"ebbtide backend setup --mode ipip --vip 203.0.113.10 --apply": "test/tunnel does it, in kernels that have tunnels",
	"apt install vagrant vagrant-libvirt libvirt-daemon-system":    vagrant,
	"make package vagrant-box":                                     vagrant,
	"vagrant up --provider=libvirt":                                vagrant,
	"vagrant ssh client -c 'game play -backends 10.77.0.31:7778,10.77.0.32:7778,10.77.0.41:7778,10.77.0.42:7778'": vagrant,
	"vagrant ssh lb -c 'ebbtide flip world --wait'":                                                               vagrant,
	"vagrant box remove ebbtide --provider=libvirt":                                                               vagrant,
	"EBBTIDE_VAGRANT_EMULATE=1 vagrant up --provider=libvirt":                                                     vagrant,
	"vagrant up --provider=virtualbox":                                                                            "there is no VirtualBox in Debian: nobody has run it",
	"apt install ./ebbtide_1.2.3_amd64.deb":                                                                       "test/packages installs the package in a Debian",
	"systemctl enable --now ebbtide":                                                                              "test/packages enables the unit in a Debian with systemd",
	"ebbtide status --server https://lb1.example:9596 --ca ca.pem --cert olga.pem --cert-key olga.key":            "test/operate asks a daemon over the network",
	"ebbtide status --server https://lb1.example:9596 --ca ca.pem --token-file ci.token":                          "test/operate asks a daemon over the network",
}

// file is the configuration of the lines: that of the pages, and what some of them need besides.
const file = `interfaces: [eth0]
max_flows: 65536
web: {listen: 127.0.0.1:8080}
services:
  world:
    listeners:
      - {vip: 203.0.113.10, protocol: tcp, port: 7777}
      - {vip: 203.0.113.10, protocol: udp, port: 7777}
      - {vip: "2001:db8::10", protocol: udp, port: 7777-7800}
    health: {external: true}
    occupancy: {external: true}
    timeouts: {tcp: 60s, tcp_half_open: 5s, tcp_closing: 2s, udp: 3s, udp_new: 2s, reuse_after: 5s}
    pools: &pools
      blue:
        version: "1.9"
        backends: [{address: [10.0.0.11, "fd00::11"]}]
      green:
        version: "2.0"
        backends: [{address: [10.0.1.11, "fd00::12"]}]
    release: {bake: 1s}
  shooter:
    listeners: [{vip: 203.0.113.12, protocol: udp, port: 27015}]
    pools: *pools
    release: {bake: 1s}
  zone-1:
    listeners: [{vip: 203.0.113.11, protocol: tcp, port: 7001}]
    pools: *pools
    group: shard-1
    release: {bake: 2s}
  zone-2:
    listeners: [{vip: 203.0.113.11, protocol: tcp, port: 7002}]
    pools: *pools
    group: shard-1
    release: {bake: 2s}
`

// need is what a line needs before it means something. It is run where a daemon has started that knows of nothing but the file,
// and where the player of the pages plays.
type need struct {
	line *regexp.Regexp
	// reads says that the line changes nothing, so that those are run one after the other.
	reads bool
	// yaml changes the configuration.
	yaml *strings.Replacer
	// before is what was done before, by a shell on the load balancer, and files are those that have to be there.
	before string
	files  map[string]string
	// alone says that the player has left.
	alone bool
	// stopped says that no daemon runs.
	stopped bool
	// backend says that it is run on a backend, which is in no pool.
	backend bool
	// works says that a line does what it shall. It goes on until it is interrupted. nil: it ends.
	works func(t *testing.T, r *room, run *running) bool
	// code is the exit code, where pages say that it is another than 0.
	code int
}

// Acts of before.
const (
	drains3 = "ebbtide stage world --version 2.1 --file pool.yaml && ebbtide flip world && ebbtide rollback world"
	drains7 = "for v in 2.1 2.2 2.3 2.4 2.5; do ebbtide stage world --version $v --file pool.yaml; done; ebbtide flip world && ebbtide rollback world"
)

// needs are tried in this order. A line without one has to end with 0 after a start.
var needs = []need{
	// On backends, and without a daemon.
	{line: re(`^(ip addr|sysctl|ebbtide backend setup)`), backend: true},
	{line: re(`^ebbtide daemon --config \./`), stopped: true, works: answers, files: map[string]string{here + "/ebbtide.yaml": file}},
	{line: re(`^ebbtide daemon`), stopped: true, works: answers},
	{line: re(`^ebbtide detach --bpf-dir`), stopped: true, before: "ebbtide daemon --bpf-dir /sys/fs/bpf/test & until ebbtide status; do sleep 0.1; done; kill $!; wait"},
	{line: re(`^ebbtide detach`)},
	{line: re(`^ebbtide probenet`), works: hasProbes},
	{line: re(`^cp /etc/ebbtide/ebbtide.example.yaml`), files: map[string]string{"/etc/ebbtide/ebbtide.example.yaml": "interfaces: [eth0]"}},

	// What goes on until it is interrupted.
	{line: re(`^ebbtide trace`), works: says(""), reads: true},
	{line: re(`^ebbtide top .*--times`), reads: true},
	{line: re(`^ebbtide top`), works: says("world"), reads: true},
	{line: re(`^ebbtide (events|history) --follow|^curl -sN`), works: hears},

	// What needs a file.
	{line: re(`new\.yaml`), files: map[string]string{here + "/new.yaml": file}},
	{line: re(`^ebbtide explain --pcap`), before: "ebbtide trace 198.51.100.7 --count 3 --pcap-out from-the-switch.pcap"},
	{line: re(`^ebbtide stage world --version 2\.0`), files: pool, yaml: strings.NewReplacer(`version: "2.0"`, `version: "1.8"`)},
	{line: re(`^ebbtide stage world --version 2\.1 .* --wait`), files: pool, alone: true},
	{line: re(`^ebbtide stage`), files: pool},

	// What is about a generation, a release or an act of before.
	{line: re(`^ebbtide drain world --wait --generation 3|^ebbtide drain world --wait`), files: pool, before: drains3, alone: true},
	{line: re(`--generation 3`), files: pool, before: drains3},
	{line: re(`--generation 7.*--wait`), files: pool, before: drains7, alone: true},
	{line: re(`--generation 7`), files: pool, before: drains7},
	{line: re(`^ebbtide release abort world`), yaml: canary, before: "ebbtide release world"},
	{line: re(`^ebbtide release resume world`), yaml: approved, before: "ebbtide release world && ebbtide release pause world"},
	{line: re(`^ebbtide release (pause|approve|rollback) world`), yaml: approved, before: "ebbtide release world"},
	{line: re(`^ebbtide (gates|release status) world`), yaml: approved, before: "ebbtide release world"},
	{line: re(`^ebbtide report world --release 7`), yaml: canary, before: "for i in 1 2 3 4 5 6 7; do ebbtide release world; ebbtide release abort world; done"},
	{line: re(`^ebbtide report`), before: "ebbtide release world"},
	{line: re(`^ebbtide release .*--wait`), alone: true},
	{line: re(`^ebbtide rollback --group`), before: "ebbtide flip --group shard-1"},
	{line: re(`^ebbtide rollback world &&`), before: "ebbtide flip world", alone: true},
	{line: re(`^ebbtide rollback`), before: "ebbtide flip world"},
	{line: re(`^ebbtide flip world .*--wait`), alone: true},
	{line: re(`^ebbtide flip world --break-lock`), before: `ebbtide lock world --reason "tournament" --for 4h`},
	{line: re(`^ebbtide unlock`), before: `ebbtide lock world --reason "tournament" --for 4h`},
	{line: re(`^ebbtide open`), before: "ebbtide close world"},
	{line: re(`^ebbtide testers world remove`), before: "ebbtide testers world add 198.51.100.0/24"},
	{line: re(`^ebbtide share world( 0%)?$`), before: "ebbtide share world 5%"},
	{line: re(`^ebbtide schedule`), before: "for day in 1 2 3 4 5 6 7; do ebbtide flip world --at \"2036-01-0$day 14:00\"; done"},
	{line: re(`^ebbtide verify world -o json`), yaml: probed, before: probeNet},
	{line: re(`^ebbtide rehearse world && ebbtide release`), before: probeNet},
	{line: re(`^ebbtide rehearse`), before: probeNet},

	{line: re(`^(sudo )?ebbtide (status|plan$|plan --release|check|version|flows|explain|doctor|completion|drops|web|journal|history|verify world$|testers world$|lock$|support-bundle)`), reads: true},
}

// Releases that wait: for an approval once they have flipped, and with a share of the clients before they do.
var (
	approved = strings.NewReplacer("release: {bake: 1s}", "release: {bake: 1h, gates: [{approval: ops}]}")
	canary   = strings.NewReplacer("release: {bake: 1s}", "strategy: canary\n    release: {steps: [{share: 5%, for: 1h}]}")
)

// probed is a service whose candidate can be asked over its VIPs.
var probed = strings.NewReplacer("release: {bake: 1s}\n  shooter", "release: {bake: 1s, probes: [{tcp: 7777}]}\n  shooter")

// probeNet starts one, which ends with what has started it.
const probeNet = `ebbtide probenet --address 10.0.0.250 --address fd00::250 --interface eth0 >probenet.log 2>&1 &
until ip link show ebbprobe; do sleep 0.1; done`

// says waits for a word, wherever it is printed.
func says(word string) func(*testing.T, *room, *running) bool {
	return func(_ *testing.T, _ *room, run *running) bool {
		return strings.Contains(run.stdout.String(), word) && run.stdout.String()+run.stderr.String() != ""
	}
}

// hears lets something happen, until it was heard of.
func hears(t *testing.T, r *room, run *running) bool {
	act := api.Act{Reason: "something happens"}
	_, err := r.client.Lock(t.Context(), api.LockRequest{Service: "world", ForSeconds: 60, Act: act})
	if err = errors.Join(err, r.client.Unlock(t.Context(), api.UnlockRequest{Service: "world", Act: act})); err != nil {
		t.Fatal(err)
	}
	return strings.Contains(run.stdout.String(), "something happens")
}

// answers waits for a daemon.
func answers(t *testing.T, r *room, _ *running) bool {
	_, err := r.client.Status(t.Context())
	return err == nil
}

// hasProbes waits for a probe net's links.
func hasProbes(_ *testing.T, r *room, _ *running) bool {
	_, err := r.lab.LB.Index("ebbprobe")
	return err == nil
}

var pool = map[string]string{
	here + "/pool.yaml": `backends: [{address: [10.0.1.11, "fd00::12"]}]`,
}

func re(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

// needOf finds what a line needs.
func needOf(line string) need {
	i := slices.IndexFunc(needs, func(n need) bool { return n.line.MatchString(line) })
	if i < 0 {
		return need{}
	}
	return needs[i]
}
