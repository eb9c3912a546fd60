package lab

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

func TestWhatXDPSendsArrivesAndTheBackendAnswersDirectly(t *testing.T) {
	for _, arms := range []Arms{OneArm, TwoArms} {
		for _, way := range []VIPWay{Held, Routed} {
			t.Run(fmt.Sprint(arms, "/", way), func(t *testing.T) {
				t.Parallel()
				l := Must(t, Options{Arms: arms, VIPWay: way})
				for _, b := range l.Backends {
					attached := mustSteer(t, l, b)
					mustEchoTCP(t, l.Client, b.NS, VIP4)
					mustEchoUDP(t, l.Client, b.NS, VIP4)
					mustEchoTCP(t, l.Client, b.NS, VIP6)
					mustEchoUDP(t, l.Client, b.NS, VIP6)
					if err := attached.Close(); err != nil {
						t.Fatal(err)
					}
				}
				mustHaveNoDrops(t, l)
			})
		}
	}
}

// mustSteer attaches a program that sends everything for the VIPs to one
// backend: the least that a dsr load balancer does.
func mustSteer(tb testing.TB, l *Lab, to *Backend) link.Link {
	tb.Helper()
	arm := l.LANInterface()
	back, err := l.LB.Index(arm)
	if err != nil {
		tb.Fatal(err)
	}
	front, err := l.LB.Index("eth0")
	if err != nil {
		tb.Fatal(err)
	}
	src, err := l.LB.MAC(arm)
	if err != nil {
		tb.Fatal(err)
	}
	dst, err := to.MAC("eth0")
	if err != nil {
		tb.Fatal(err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "ebbt_steer", Type: ebpf.XDP, License: "GPL", Instructions: steer(dst, src, front, back)})
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	defer prog.Close()
	var attached link.Link
	err = l.LB.Do(func() (err error) {
		attached, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: front, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return attached
}

// steer rewrites the MACs of IPv4 and IPv6 packets for the VIPs and sends them
// out of an interface; it passes the rest.
func steer(dst, src net.HardwareAddr, front, back int) asm.Instructions {
	vip4, vip6 := VIP4.As4(), VIP6.As16()
	insns := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 42), // the smallest of them: IPv4 and UDP
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, 12, asm.Half),
		asm.JEq.Imm(asm.R5, ethType(0x86dd), "ip6"),
		asm.JNE.Imm(asm.R5, ethType(0x0800), "pass"),
		asm.LoadMem(asm.R5, asm.R2, 30, asm.Word),
		asm.LoadImm(asm.R6, int64(binary.NativeEndian.Uint32(vip4[:])), asm.DWord),
		asm.JNE.Reg(asm.R5, asm.R6, "pass"),
		asm.Ja.Label("send"),

		asm.Mov.Reg(asm.R4, asm.R2).WithSymbol("ip6"),
		asm.Add.Imm(asm.R4, 54),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, 38, asm.DWord),
		asm.LoadImm(asm.R6, int64(binary.NativeEndian.Uint64(vip6[:8])), asm.DWord),
		asm.JNE.Reg(asm.R5, asm.R6, "pass"),
		asm.LoadMem(asm.R5, asm.R2, 46, asm.DWord),
		asm.LoadImm(asm.R6, int64(binary.NativeEndian.Uint64(vip6[8:])), asm.DWord),
		asm.JNE.Reg(asm.R5, asm.R6, "pass"),
	}
	macs := append(append([]byte(nil), dst...), src...)
	for i := 0; i < len(macs); i += 2 {
		store := asm.StoreImm(asm.R2, int16(i), int64(binary.NativeEndian.Uint16(macs[i:])), asm.Half)
		if i == 0 {
			store = store.WithSymbol("send")
		}
		insns = append(insns, store)
	}
	if front == back {
		insns = append(insns, asm.Mov.Imm(asm.R0, 3), asm.Return()) // XDP_TX
	} else {
		insns = append(insns, asm.Mov.Imm(asm.R1, int32(back)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return())
	}
	return append(insns, asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), asm.Return()) // XDP_PASS
}

// ethType is an EtherType as a load from the packet sees it.
func ethType(t uint16) int32 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], t)
	return int32(binary.NativeEndian.Uint16(b[:]))
}
