package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// What a trace says of a player's packets is what the kernel counted of them: those sent on, those dropped and those
// passed, each with its reason. The program itself runs before and after, and its tag is the same.
func TestATraceSaysWhatBecameOfAPlayersPackets(t *testing.T) {
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{forwarding: forwarding, arms: lab.TwoArms, timeouts: calm})
			program, tag := s.mustRun(t)
			reasons, packets := s.reasons(t), s.packets(t)
			tr := s.trace(t, api.TraceRequest{Client: "198.51.100.0/24", Seconds: 600, Rate: 100_000})
			if during, _ := s.mustRun(t); during == program {
				t.Error("the program itself runs while it is traced")
			}
			if err := s.host.Client.Trace(t.Context(), tr.req, nil); code(err) != api.Refused {
				t.Errorf("a second trace: %v", err)
			}
			s.fleet.Add(t.Context(), 2, s.brisk())
			s.fleet.Exchange(3)
			backends := s.backends()
			// Nobody sends any more, and every answer has been taken: a kernel's ICMP error to one that came late would be
			// among the packets that went to backends.
			s.fleet.Logout(2)
			w := s.wire(t)
			stray := frame{from: nobody(lab.VIP4, 4000), to: netip.AddrPortFrom(lab.VIP4, port), proto: udp, payload: []byte("x")}
			nowhere, later := stray, stray
			nowhere.to = netip.AddrPortFrom(lab.VIP4, 9)
			later.fragment = 1 // behind the first
			w.send(t, nowhere)
			w.send(t, later)

			eventually(t, "a trace that agrees with the counters", func() bool {
				return tr.sent() == s.packets(t)-packets && maps.Equal(tr.reasons(), since(s.reasons(t), reasons))
			})
			tr.mustHave(t, "udp "+nowhere.from.String(), "pass", "pass_not_ours")
			tr.mustHave(t, "udp fragment "+nowhere.from.Addr().String(), "drop", "drop_fragment")
			tr.mustName(t, backends, forwarding)
			tr.stop()
			if err := <-tr.err; !errors.Is(err, context.Canceled) {
				t.Errorf("the trace ended: %v", err)
			}
			eventually(t, "the program to be back in its place", func() bool {
				is, tagged := s.mustRun(t)
				return is == program && tagged == tag
			})
		})
	}
}

// An upgrade does not wait for a trace: it ends it, and the trace says so.
func TestAnUpgradeEndsATrace(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm})
	tr := s.trace(t, api.TraceRequest{Client: "198.51.100.0/24", Seconds: 600, Rate: 100_000})
	s.fleet.Add(t.Context(), 2, s.brisk())
	s.fleet.Exchange(2)
	s.configure(t, setting{timeouts: calm, maxFlows: 70_000}.withDefaults().yaml(s.lab))
	s.reload(t)
	if err := <-tr.err; err != nil {
		t.Error(err)
	}
	if end := tr.lines[len(tr.lines)-1].End; end == nil || !strings.Contains(end.Reason, "upgrade") || end.Shown == 0 || end.Shown > end.Matched {
		t.Errorf("its last line: %+v", end)
	}
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	upgraded, _ := s.mustRun(t)
	again := s.trace(t, api.TraceRequest{Client: "198.51.100.0/24", Seconds: 600, Count: 5, Rate: 100_000})
	s.fleet.Exchange(2)
	if err := <-again.err; err != nil || again.sent() == 0 {
		t.Errorf("a trace of 5 packets: %+v, %v", again.lines, err)
	}
	if is, _ := s.mustRun(t); is != upgraded {
		t.Errorf("program %d runs, before the trace it was %d", is, upgraded)
	}
}

// A daemon that is killed while it traces leaves what forwards as before, and the next one gives the program its place back.
func TestADaemonThatIsKilledWhileItTraces(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm})
	program, _ := s.mustRun(t)
	s.fleet.Add(t.Context(), 2, s.brisk())
	tr := s.trace(t, api.TraceRequest{Client: "198.51.100.0/24", Seconds: 600, Rate: 100_000})
	s.host.Kill()
	if err := <-tr.err; err == nil {
		t.Error("the trace ended as if nothing had happened")
	}
	s.fleet.Exchange(2)
	if is, _ := s.mustRun(t); is == program {
		t.Error("the program is back in its place, with no daemon to put it there")
	}
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is, _ := s.mustRun(t); is != program {
		t.Errorf("program %d runs, before the trace it was %d", is, program)
	}
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
}

// traced is a trace that runs, and what it has said.
type traced struct {
	req   api.TraceRequest
	stop  context.CancelFunc
	err   chan error
	mu    sync.Mutex
	lines []api.Traced
}

// trace begins a trace, and returns when packets are traced.
func (s *stage) trace(t *testing.T, req api.TraceRequest) *traced {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	tr := &traced{req: req, stop: stop, err: make(chan error, 1)}
	begun := make(chan struct{})
	go func() {
		tr.err <- s.host.Client.Trace(ctx, req, func(line api.Traced) error {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			tr.lines = append(tr.lines, line)
			if line.Begun != nil {
				close(begun)
			}
			return nil
		})
	}()
	select {
	case <-begun:
	case err := <-tr.err:
		t.Fatal(err)
	}
	return tr
}

func (tr *traced) packets() (out []api.TracedPacket) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, line := range tr.lines {
		if line.Packet != nil {
			out = append(out, *line.Packet)
		}
	}
	return out
}

// sent counts what the trace says went to a backend.
func (tr *traced) sent() (n uint64) {
	for _, p := range tr.packets() {
		if (p.Verdict == "tx" || p.Verdict == "redirect") && strings.HasPrefix(p.Destination, lab.VIP4.String()+":") {
			n++
		}
	}
	return n
}

// reasons counts those for which packets were not passed.
func (tr *traced) reasons() map[string]uint64 {
	out := map[string]uint64{}
	for _, p := range tr.packets() {
		for _, r := range p.Reasons {
			out[r]++
		}
	}
	return since(out, nil)
}

// mustHave checks that one packet from there was traced, and what became of it.
func (tr *traced) mustHave(t *testing.T, from, verdict string, reasons ...string) {
	t.Helper()
	n := 0
	for _, p := range tr.packets() {
		if p.Protocol+" "+p.Source == from {
			n++
			if p.Verdict != verdict || !slices.Equal(p.Reasons, reasons) {
				t.Errorf("%s: %+v, want %s %v", from, p, verdict, reasons)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d packets from %s, want 1", n, from)
	}
}

// backends of the players' sessions, by their own word.
func (s *stage) backends() map[string]string {
	out := map[string]string{}
	for _, p := range s.fleet.Playing() {
		for _, r := range p.Reports() {
			out[r.Network+" "+r.Client.String()] = s.lab.Backend(r.Backend).V4.String()
		}
	}
	return out
}

// mustName checks what the trace says of the players' own packets: the backend that they know to have talked to.
func (tr *traced) mustName(t *testing.T, backends map[string]string, forwarding lab.Forwarding) {
	t.Helper()
	seen := map[string]int{}
	for _, p := range tr.packets() {
		from, to := backends[p.Protocol+" "+p.Source], backends[p.Protocol+" "+p.Destination]
		switch {
		case from != "":
			seen["to a backend"]++
			if p.Verdict != "redirect" || p.Backend != from || p.Service != service || p.Generation.Number != 1 || p.OutInterface != "eth1" {
				t.Errorf("a packet for %s: %+v", from, p)
			}
		case to != "":
			seen["answer"]++
			if p.Verdict != "redirect" || p.Backend != to || p.Service != service || p.Interface != "eth1" || p.OutInterface != "eth0" {
				t.Errorf("an answer of %s: %+v", to, p)
			}
		}
	}
	if seen["to a backend"] == 0 || (seen["answer"] == 0) == (forwarding == lab.NAT) {
		t.Errorf("seen: %v", seen)
	}
}

// mustRun is the program on the load balancer's first interface: its id and its tag. One that is taken away meanwhile is
// asked for again.
func (s *stage) mustRun(t *testing.T) (id uint32, tag string) {
	t.Helper()
	eventually(t, "a program on eth0", func() bool {
		l, err := s.lab.LB.Netlink().LinkByName("eth0")
		if err != nil || l.Attrs().Xdp == nil {
			t.Fatalf("no program on eth0: %v", err)
		}
		id = l.Attrs().Xdp.ProgId
		p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
		if errors.Is(err, os.ErrNotExist) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		tag = info.Tag
		return true
	})
	return id, tag
}

// since leaves out what others than the players make: ARP, flooded frames, the hosts' own packets.
func since(now, then map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for name, n := range now {
		if n != then[name] && !strings.HasPrefix(name, "pass_") {
			out[name] = n - then[name]
		}
	}
	return out
}

// packets counts those that went to backends.
func (s *stage) packets(t *testing.T) (n uint64) {
	t.Helper()
	for _, g := range s.host.Status(t).Services[0].Generations {
		n += g.Packets
	}
	return n
}

func code(err error) api.Code {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return api.Code(fmt.Sprint(err))
}
