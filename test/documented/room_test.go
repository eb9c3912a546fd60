package documented

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

//go:embed room.sh
var roomScript string

// The pages' addresses: of the services, of a player, of the load balancer and its backends.
var (
	vips      = []netip.Addr{lab.VIP4, lab.VIP6, netip.MustParseAddr("203.0.113.11"), netip.MustParseAddr("203.0.113.12")}
	player    = netip.MustParseAddr("198.51.100.7")
	own       = []string{"10.0.0.1/16", "fd00::1/64"}
	backends  = map[string][]string{"blue1": {"10.0.0.11/16", "fd00::11/64"}, "green1": {"10.0.1.11/16", "fd00::12/64"}}
	endpoints = []game.Endpoint{game.TCP(lab.VIP4, 7777), game.UDP(lab.VIP4, 7777)}
)

// longest bounds what a line may take: it only ends lines that would hang. A rehearsal and a release are minutes where there is
// other work.
const longest = 5 * time.Minute

// here is where commands are run.
const here = "/var/tmp/here"

// room is a host on which the pages' commands are run.
type room struct {
	t      *testing.T // whose end is the room's
	lab    *lab.Lab
	holder *exec.Cmd
	client *api.Client
	world  *game.World
	fleet  *game.Fleet
	daemon *running
	before *running // what may have left something in the background
	fresh  bool     // only what changes nothing was run since the daemon has started
}

// mustRoom makes one with game servers and without a daemon.
func mustRoom(t *testing.T) *room {
	t.Helper()
	l := lab.Must(t, lab.Options{Backends: []string{"blue1", "green1"}, VIPs: vips, Bare: true})
	r := &room{t: t, lab: l}
	r.address(t, l.LB, own)
	for name, addresses := range backends {
		r.address(t, l.Backend(name).NS, addresses)
	}
	r.address(t, l.Client, []string{player.String() + "/24"})
	r.enter(t)
	return r
}

func (r *room) address(t *testing.T, ns *lab.NS, addresses []string) {
	t.Helper()
	for _, a := range addresses {
		if err := ns.AddAddress("eth0", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
}

// enter makes the mount namespace, which lives as long as its holder.
func (r *room) enter(t *testing.T) {
	t.Helper()
	dir := filepath.Join(r.lab.Dir, "room")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	standIns, err := filepath.Abs("testdata/bin")
	if err != nil {
		t.Fatal(err)
	}
	r.holder = exec.Command("bash", "-c", roomScript, "room", dir, binaries, standIns)
	r.holder.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	said := mustWords(t)
	r.holder.Stderr = said.File
	stdin, err := r.holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := r.holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.lab.LB.Start(r.holder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = r.holder.Wait() // it ends with its input
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("make the room: %q, %v\n%s", line, err, said)
	}
	r.client = api.New(fmt.Sprintf("/proc/%d/root/run/ebbtide/ebbtide.sock", r.holder.Process.Pid))
}

// words are what a process prints: a file, because what stays in the background keeps it open.
type words struct{ *os.File }

func mustWords(t *testing.T) words {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "words")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return words{f}
}

// String is what was printed so far.
func (w words) String() string {
	data, err := os.ReadFile(w.Name())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// running is a command line that was begun.
type running struct {
	line           string
	cmd            *exec.Cmd
	stdout, stderr words
	over           chan struct{}
	err            error // valid when over is closed
}

// begin begins a command line in a namespace, by a shell that minds every failure. What is still going on at the end of the
// test is killed.
func (r *room) begin(t *testing.T, ns *lab.NS, line string) *running {
	t.Helper()
	run := &running{line: line, stdout: mustWords(t), stderr: mustWords(t), over: make(chan struct{})}
	run.cmd = exec.Command("nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", r.holder.Process.Pid), "--", "bash", "-euo", "pipefail", "-c", "cd "+here+"\n"+line)
	run.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	run.cmd.Env = append(os.Environ(), "TERM=dumb", "PATH=/usr/local/bin:"+os.Getenv("PATH"))
	run.cmd.Stdout, run.cmd.Stderr = run.stdout.File, run.stderr.File
	if err := ns.Start(run.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		run.err = run.cmd.Wait()
		close(run.over)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-run.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		<-run.over
	})
	return run
}

// stop ends what it has left in the background.
func (run *running) stop() { _ = syscall.Kill(-run.cmd.Process.Pid, syscall.SIGTERM) } // it may have left nothing

// interrupt is what ^C does.
func (run *running) interrupt() { _ = syscall.Kill(-run.cmd.Process.Pid, syscall.SIGINT) }

// end waits for the end, and gives the exit code.
func (run *running) end(t *testing.T) int {
	t.Helper()
	select {
	case <-run.over:
	case <-time.After(longest):
		_ = syscall.Kill(-run.cmd.Process.Pid, syscall.SIGKILL)
		t.Fatalf("%s does not end\n%s%s", run.line, run.stdout, run.stderr)
	}
	if exit := new(exec.ExitError); run.err != nil && !errors.As(run.err, &exit) {
		t.Fatal(run.err)
	}
	return run.cmd.ProcessState.ExitCode()
}

// do runs a command line that has to succeed, on the load balancer.
func (r *room) do(t *testing.T, line string) *running {
	t.Helper()
	run := r.begin(t, r.lab.LB, line)
	if code := run.end(t); code != 0 {
		t.Fatalf("%s: exit %d\n%s%s", line, code, run.stdout, run.stderr)
	}
	return run
}

// put writes a file of the room.
func (r *room) put(t *testing.T, name, text string) {
	t.Helper()
	run := r.begin(t, r.lab.LB, "cat >'"+name+"' <<'END'\n"+text+"\nEND\n")
	if code := run.end(t); code != 0 {
		t.Fatalf("write %s: %s", name, run.stderr)
	}
}

// serve has the game on the backends, which hold the VIPs as the pages tell them to.
func (r *room) serve(t *testing.T) {
	t.Helper()
	var err error
	if r.world, err = game.NewWorld(r.lab, endpoints...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.world.Close() })
	r.fleet = game.NewFleet(r.lab.Client)
	t.Cleanup(r.fleet.Close)
}

// login lets the player of the pages in.
func (r *room) login(t *testing.T) {
	t.Helper()
	r.fleet.Add(t.Context(), 1, game.Role{Endpoints: endpoints, From: []netip.Addr{player}})[0].Exchange(2)
}

// start starts the daemon, and waits until it can reach its backends.
func (r *room) start(t *testing.T) {
	t.Helper()
	r.daemon = r.begin(r.t, r.lab.LB, "exec ebbtide daemon")
	lab.Eventually(t, "a daemon whose backends can be reached", func() bool {
		select {
		case <-r.daemon.over:
			t.Fatalf("the daemon has ended:\n%s", r.daemon.stderr)
		default:
		}
		st, err := r.client.Status(t.Context())
		return err == nil && reached(st)
	})
}

// reached says whether every backend can be.
func reached(st api.Status) bool {
	for _, svc := range st.Services {
		for _, g := range svc.Generations {
			for _, b := range g.Backends {
				for _, hop := range b.NextHops {
					if hop.State != "resolved" {
						return false
					}
				}
			}
		}
	}
	return true
}

// empty leaves nothing but the configuration.
func (r *room) empty(t *testing.T, yaml string) {
	t.Helper()
	r.leave(t)
	r.do(t, "rm -rf /var/lib/ebbtide /etc/ebbtide/* "+here+"/*")
	r.put(t, "/etc/ebbtide/ebbtide.yaml", yaml)
}

// leave has all out of the kernel, and nobody in the game.
func (r *room) leave(t *testing.T) {
	t.Helper()
	r.fleet.Close()
	if r.before != nil {
		r.before.stop()
		r.before = nil
	}
	r.do(t, "ebbtide detach")
	if r.daemon != nil {
		<-r.daemon.over
		r.daemon = nil
	}
}

// reads waits until a command line that is under way has printed something.
func (r *room) reads(t *testing.T, run *running, what string) {
	t.Helper()
	lab.Eventually(t, run.line+" to say"+what, func() bool { return strings.Contains(run.stdout.String(), what) })
}
