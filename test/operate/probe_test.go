package operate

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/test/lab"
)

// Addresses of probes: free ones of the backends' network.
const (
	probe4 = "10.77.0.250"
	probe6 = "fd77::fa"
)

// probeNet runs the real one on the load balancer until the test ends.
func (s *stage) probeNet(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("ebbtide", append([]string{"probenet", "--probe-socket", s.host.Options().ProbeSocket}, args...)...)
	var said transcript
	cmd.Stderr = &said
	if err := s.lab.LB.Start(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("the probe net said:\n%s", said.String())
		}
	})
	client := probe.NewClient(s.host.Options().ProbeSocket)
	lab.Eventually(t, "the probe net", func() bool {
		_, err := client.Info(t.Context())
		return err == nil
	})
	return cmd
}

// smoke is what a backend answers to probes of web (HTTP) and echo (UDP), at a VIP.
type smoke struct {
	mu     sync.Mutex
	status int
	said   string
	asked  []netip.Addr // by whom
}

const web, echo = 8080, 8081

// mustAnswer serves both on a backend.
func (k *smoke) mustAnswer(t *testing.T, b *lab.Backend, vip netip.Addr) {
	t.Helper()
	ln, err := b.Listen("tcp", netip.AddrPortFrom(vip, web))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := k.answer(netip.MustParseAddrPort(r.RemoteAddr))
		w.WriteHeader(status)
	})}
	go srv.Serve(ln)
	conn, err := b.ListenPacket("udp", netip.AddrPortFrom(vip, echo))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, said := k.answer(from)
			conn.WriteToUDPAddrPort([]byte(said), from)
		}
	}()
	t.Cleanup(func() { srv.Close(); conn.Close() })
}

func (k *smoke) answer(from netip.AddrPort) (int, string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, from.Addr())
	return k.status, k.said
}

// by are those who have asked since the last call.
func (k *smoke) by() (list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.asked {
		list = append(list, a.String())
	}
	k.asked = nil
	slices.Sort(list)
	return slices.Compact(list)
}

// mustProbe has a service with a web and an echo listener at each VIP, and a candidate of two backends.
func mustProbe(t *testing.T, vips ...netip.Addr) (s *stage, smokes map[string]*smoke) {
	t.Helper()
	s = mustStage(t, setting{backends: []string{"blue1", "green1", "green2"}, vips: vips})
	var listeners string
	smokes = map[string]*smoke{}
	for _, vip := range vips {
		listeners += fmt.Sprintf("      - {vip: %q, protocol: tcp, port: %d}\n      - {vip: %q, protocol: udp, port: %d}\n", vip, web, vip, echo)
	}
	for _, b := range s.lab.Backends {
		smokes[b.Name] = &smoke{status: http.StatusOK, said: "pong of " + b.Name}
		for _, vip := range vips {
			smokes[b.Name].mustAnswer(t, b, vip)
		}
	}
	s.configure(t, strings.NewReplacer("    listeners:\n", "    listeners:\n"+listeners, "    pools:", fmt.Sprintf(
		"    release: {probes: [{tcp: %d}, {http: {port: %d, path: /ready}}, {udp: {port: %d, send: ping, expect: pong}}]}\n    pools:", port, web, echo,
	)).Replace(s.yaml()))
	s.do(t, "reload").mustBe(t, 0, "…", "")
	return s, smokes
}

// By itself: a probe waits three seconds for its answer, and what is printed says how many answered.
func TestVerifyAsksEachBackendOfTheCandidateOverTheRealVIPs(t *testing.T) {
	s, smokes := mustProbe(t, lab.VIP4, lab.VIP6)
	player := s.login(t, "blue")
	s.do(t, "verify", service).mustBe(t, 0, "…probe…unknown…not asked: no probe net runs on this host; see ebbtide probenet --help\n", "")
	probeNet := s.probeNet(t, "--address", probe4, "--address", probe6, "--interface", s.lab.LANInterface())
	before := s.leftovers(t)
	s.do(t, "verify", service).mustBe(t, 0, "…"+
		"probe tcp 7777 of 203.0.113.10…ok…2 of 2 backends of generation 2 answered: 10.77.0.12: connected in …; 10.77.0.13: connected in …"+
		"probe http 8080 of 203.0.113.10…ok…10.77.0.12: status 200 in …; 10.77.0.13: status 200 in …"+
		"probe http 8080 of 2001:db8::10…ok…fd77::c: status 200 in …; fd77::d: status 200 in …"+
		"probe udp 8081 of 203.0.113.10…ok…10.77.0.12: the answer begins with \"pong of green1\" in …; 10.77.0.13: the answer begins with \"pong of green2\" in …", "")
	for name, k := range smokes {
		want := []string{probe4, probe6}
		if name == "blue1" {
			want = nil
		}
		if by := k.by(); !slices.Equal(by, want) {
			t.Errorf("%s was asked by %q, want %q", name, by, want)
		}
	}
	s.mustBeAsBefore(t, before)

	bad := smokes["green2"]
	bad.mu.Lock()
	bad.status, bad.said = http.StatusServiceUnavailable, "busy"
	bad.mu.Unlock()
	s.do(t, "verify", service).mustBe(t, 5, "…"+
		"probe http 8080 of 203.0.113.10…FAILS…1 of 2 backends of generation 2 answered: 10.77.0.12: status 200 in …; 10.77.0.13: status 503…"+
		"probe udp 8081 of 203.0.113.10…FAILS…10.77.0.13: the answer begins with \"busy\", not with \"pong\"…", "…")
	s.mustBeAsBefore(t, before)

	// A daemon that is killed while it probes leaves the next one to take everything back.
	if err := s.host.Stop(); err != nil {
		t.Fatal(err)
	}
	s.host.Options().KillOn, s.host.Options().KillAt = "detach "+probe.Interface, 1
	s.start(t)
	s.do(t, "verify", service).mustBe(t, 6, "", "…went away…")
	if err := s.host.Wait(); err != nil {
		t.Fatal(err)
	}
	if left := s.leftovers(t); left == before {
		t.Error("a daemon that was killed in its probes left nothing: this test sees nothing")
	}
	s.host.Options().KillAt = 0
	s.start(t)
	s.mustBeAsBefore(t, before)

	probeNet.Process.Kill()
	lab.Eventually(t, "the end of the links of a probe net that was killed", func() bool {
		_, err := s.lab.LB.Netlink().LinkByName(probe.Interface)
		return err != nil
	})
	s.do(t, "verify", service).mustBe(t, 0, "…probe…unknown…not asked: no probe net runs on this host; see ebbtide probenet --help\n", "")

	s.pretend(t)
	before = s.leftovers(t)
	s.do(t, "verify", service).mustBe(t, 5, "…probe tcp 7777 of 203.0.113.10…FAILS…0 of 2 backends of generation 2 answered: "+
		"10.77.0.12: connected, but the kernel has no pin of "+probe4+":… to it; 10.77.0.13: connected, but the kernel has no pin of "+probe4+":… to it\n…", "…")
	s.mustBeAsBefore(t, before)
	player.Exchange(1)
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// A release asks its candidate as verify does, and does not flip before all of it answers. By itself, as above.
func TestAReleaseWaitsForItsCandidateToAnswer(t *testing.T) {
	s, smokes := mustProbe(t, lab.VIP4)
	s.probeNet(t, "--address", probe4, "--interface", s.lab.LANInterface())
	bad := smokes["green2"]
	becomes := func(status int) {
		bad.mu.Lock()
		defer bad.mu.Unlock()
		bad.status = status
	}
	becomes(http.StatusServiceUnavailable)
	s.do(t, "plan", "--release", service).mustBe(t, 0, "…1. verifying…for 30s; the candidate is asked over the real VIPs: tcp 7777, http 8080, udp 8081\n…", "")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: verifying")
	const fails = "probe http 8080 of 203.0.113.10: 1 of 2 backends of generation 2 answered: "
	lab.Eventually(t, "the release to say who does not answer", func() bool {
		list, err := s.host.Client.Releases(t.Context(), api.ReleasesRequest{Service: service})
		return err == nil && len(list.Releases) == 1 && strings.HasPrefix(list.Releases[0].Waits, fails)
	})
	player := s.login(t, "blue")
	becomes(http.StatusOK)
	s.mustBecome(t, "baking")
	s.login(t, "green")
	player.Exchange(1)
	s.mustBeWhole(t)
	s.rollback(t)
	waiter.end(t).mustBe(t, 4, "…", "…")
}

// pretend stands for a probe net whose probes are answered by somebody to whom the program did not bring them.
func (s *stage) pretend(t *testing.T) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = probe.Interface
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "nobody"
	if err := s.lab.LB.Netlink().LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.lab.LB.Netlink().LinkDel(veth); err != nil {
			t.Error(err)
		}
	})
	socket := s.host.Options().ProbeSocket
	if err := os.Remove(socket); err != nil { // of the one that was killed
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Error(err)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", answer(probe.Info{Addresses: []netip.Addr{netip.MustParseAddr(probe4)}, Interface: s.lab.LANInterface()}))
	mux.HandleFunc("POST /ask", answer(probe.Answer{Saw: "connected"}))
	srv := &http.Server{Handler: mux}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
}

// leftovers is what probes could leave: testers, and interfaces with the program, by the kernel; links and addresses.
func (s *stage) leftovers(t *testing.T) string {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	testers, err := p.Tables.Testers()
	if err != nil {
		t.Fatal(err)
	}
	links, err := s.lab.LB.Netlink().LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range links {
		addrs, err := s.lab.LB.Netlink().AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		xdp := l.Attrs().Xdp
		out = append(out, fmt.Sprint(l.Attrs().Name, xdp != nil && xdp.Attached, addrs))
	}
	pins, err := filepath.Glob(filepath.Join(s.host.Options().BPFDir, "links", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(out, testers, pins)
}

func (s *stage) mustBeAsBefore(t *testing.T, before string) {
	t.Helper()
	if after := s.leftovers(t); after != before {
		t.Errorf("left are\n%s\nbefore there were\n%s", after, before)
	}
}
