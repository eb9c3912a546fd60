package lab

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// newPassProgram loads an XDP program that passes everything.
func newPassProgram(id string) (*ebpf.Program, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "ebbt_" + id,
		Type:         ebpf.XDP,
		License:      "GPL",
		Flags:        unix.BPF_F_XDP_HAS_FRAGS,                               // or the far end's MTU would be held below a page
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		return nil, fmt.Errorf("load pass program: %w", err)
	}
	return prog, nil
}

// poll attaches the pass program to a link. A veth drops what XDP_TX or a
// redirect sends it unless it polls, and a native program makes it poll.
func (l *Lab) poll(e end) error {
	index, err := e.ns.Index(e.iface)
	if err != nil {
		return err
	}
	return e.ns.Do(func() error {
		attached, err := link.AttachXDP(link.XDPOptions{Program: l.pass, Interface: index, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("attach pass program to %s in %s: %w", e.iface, e.ns.Name, err)
		}
		l.polls = append(l.polls, attached)
		return nil
	})
}

// Absorb puts another program into the place of those that pass everything at the far ends of the load balancer's arms:
// what it drops has gone through the load balancer, and goes nowhere.
func (l *Lab) Absorb(program *ebpf.Program) error {
	for _, p := range l.polls {
		if err := p.Update(program); err != nil {
			return fmt.Errorf("replace the pass program: %w", err)
		}
	}
	return nil
}
