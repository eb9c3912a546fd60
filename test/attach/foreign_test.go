package attach

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// How another owner holds an interface.
const (
	byLink           = "by a link"
	byNetlink        = "by netlink"
	byNetlinkGeneric = "by netlink, in generic mode"
)

func TestAnotherOwnersProgramIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, how := range []string{byLink, byNetlink, byNetlinkGeneric} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := mustSet(t, setting{})
			foreign := s.occupy(t, "eth0", how)
			s.mustNotStart(t, loader.ErrForeignProgram.Error(), "ip link set dev eth0 xdp off", "--force")
			s.mustRun(t, "eth0", foreign)
			s.mustHaveLeftNothing(t)
		})
	}
}

func TestWithForceAnotherOwnersProgramIsReplaced(t *testing.T) {
	t.Parallel()
	for _, how := range []string{byNetlink, byNetlinkGeneric} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := mustSet(t, setting{})
			foreign := s.occupy(t, "eth0", how)
			s.host.Options().Force = true
			s.start(t)
			if now := s.programOf(t, "eth0"); now == 0 || now == foreign {
				t.Errorf("program %d runs, it was %d", now, foreign)
			}
			s.host.AwaitHops(t)
			s.mustPlayAFlip(t)
		})
	}
}

func TestAProgramHeldByALinkStaysEvenWithForceAndTheErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	foreign := s.occupy(t, "eth0", byLink)
	s.host.Options().Force = true
	s.mustNotStart(t, loader.ErrForeignProgram.Error(), fmt.Sprintf("program %d", foreign), "bpftool link detach")
	s.mustRun(t, "eth0", foreign)
	s.mustHaveLeftNothing(t)
}

func TestAReloadThatCannotAttachChangesNothing(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{lab: lab.Options{Arms: lab.TwoArms}, file: file{interfaces: "[eth1]"}})
	foreign := s.occupy(t, "eth0", byNetlink)
	before := s.host.Status(t)
	s.endpoints = append(s.endpoints, game.TCP(lab.VIP4, port+1)) // another listener in the files to come
	s.mustRefuse(t, file{}, loader.ErrForeignProgram.Error())
	s.mustRefuse(t, file{interfaces: "[eth1, eth9]"}, "find interface eth9")
	s.mustRun(t, "eth0", foreign)
	after := s.host.Status(t)
	if len(after.Services[0].Listeners) != len(before.Services[0].Listeners) {
		t.Errorf("the refused file was applied in part: listeners %+v, they were %+v", after.Services[0].Listeners, before.Services[0].Listeners)
	}
	if i := s.iface(t, "eth1"); !i.Attached || i.Problem != "" {
		t.Errorf("after the refusals: %+v", i)
	}
}

// mustNotStart starts a daemon that must end by itself, with all of these words.
func (s *stage) mustNotStart(t *testing.T, words ...string) {
	t.Helper()
	err := s.host.Start(t.Context())
	if err == nil {
		t.Fatalf("the daemon runs; it should have refused: %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the refusal does not say %q: %v", w, err)
		}
	}
	if code := s.host.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// occupy attaches another owner's program to an interface of the load balancer, and gives its id. The owner goes with the
// test.
func (s *stage) occupy(t *testing.T, name, how string) uint32 {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	if err := s.hold(t, name, how, prog); err != nil {
		t.Fatal(err)
	}
	return s.programOf(t, name)
}

func (s *stage) hold(t *testing.T, name, how string, prog *ebpf.Program) error {
	dev, err := s.lab.LB.Netlink().LinkByName(name)
	if err != nil {
		return err
	}
	flags := map[string]int{byNetlink: unix.XDP_FLAGS_DRV_MODE, byNetlinkGeneric: unix.XDP_FLAGS_SKB_MODE}
	return s.lab.LB.Do(func() error {
		if how != byLink {
			return netlink.LinkSetXdpFdWithFlags(dev, prog.FD(), flags[how])
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev.Attrs().Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
}

// programOf is the id of the program that runs on an interface of the load balancer, 0 for none.
func (s *stage) programOf(t *testing.T, name string) uint32 {
	t.Helper()
	dev, err := s.lab.LB.Netlink().LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if xdp := dev.Attrs().Xdp; xdp != nil && xdp.Attached {
		return xdp.ProgId
	}
	return 0
}

func (s *stage) mustRun(t *testing.T, name string, program uint32) {
	t.Helper()
	if now := s.programOf(t, name); now != program {
		t.Errorf("program %d runs on %s, want %d", now, name, program)
	}
}

// mustHaveLeftNothing checks that nothing of ebbtide's is in the load balancer's kernel, but for another owner's program.
func (s *stage) mustHaveLeftNothing(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(s.host.Options().BPFDir); !os.IsNotExist(err) {
		t.Errorf("pins are left: %v", err)
	}
	for _, vip := range []string{lab.VIP4.String(), lab.VIP6.String()} {
		if at := s.holders(t)[vip]; len(at) != 0 {
			t.Errorf("%s is left on %q", vip, at)
		}
	}
}

// holders lists the load balancer's interfaces by each address that they hold.
func (s *stage) holders(t *testing.T) map[string][]string {
	t.Helper()
	links, err := s.lab.LB.Netlink().LinkList()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, l := range links {
		addrs, err := s.lab.LB.Netlink().AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			out[a.IP.String()] = append(out[a.IP.String()], l.Attrs().Name)
		}
	}
	return out
}
