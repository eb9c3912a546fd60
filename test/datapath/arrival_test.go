package datapath

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

var besideMAC = mac{0x02, 0, 0, 0, 0, 0x02}

// A NIC spreads its queues anew, a bond's member changes: the next packet of a flow comes in by another interface, on
// another CPU. It finds the pin, whatever was flipped meanwhile.
func TestAPinHoldsOnAnotherCPUAndAnotherInterface(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.arriveOn(0, f.flagged(syn), f.flagged(ack))
		pin := w.pin(f)
		w.flip(green)
		in := f.flagged(ack).change(func(f *frame) { f.dst = besideMAC })
		w.arriveBeside(t, row{
			in: in.bytes(), verdict: redirect, out: in.steered(pin.Backend).bytes(), moves: sent("blue", in.bytes()),
		})
		if now := w.pin(f); now != pin {
			t.Errorf("the pin was %+v and is %+v", pin, now)
		}
	})
}

// In nat the answers follow: they leave by the interface that the client's packets came in by last.
func TestAnswersFollowTheClientToItsInterface(t *testing.T) {
	for _, fam := range maps.Families() {
		for name, f := range map[string]frame{"TCP": shopPacket(fam, ack), "UDP": shopDatagram(fam)} {
			t.Run(familyName(fam)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.arriveOn(0, f.flagged(syn))
				in := f.change(func(f *frame) { f.dst = besideMAC })
				w.arriveBeside(t, row{
					in: in.bytes(), verdict: redirect, out: in.translated(31, shopInner).bytes(), moves: sent("shop-blue", in.bytes()),
				})
				back := f.answer(31, shopInner, ack)
				want := back.returned()
				want.src = besideMAC
				row{in: back.bytes(), verdict: redirect, out: want.bytes(), moves: moves{}}.check(t, w)
			})
		}
	}
}

// arriveOn runs frames on a CPU, by the interface that every test has.
func (w *world) arriveOn(cpu int, frames ...frame) {
	w.tb.Helper()
	result := make(chan error, 1)
	go func() {
		result <- onCPU(cpu, func(int) (err error) {
			for _, f := range frames {
				_, _, e := w.arrive(inside, f.bytes())
				err = errors.Join(err, e)
			}
			return err
		})
	}()
	w.must(<-result)
}

// arriveBeside runs a row's frame on CPU 1, by an interface that the thread's own network namespace has beside its
// loopback. Both end with the thread.
func (w *world) arriveBeside(t *testing.T, r row) {
	t.Helper()
	result := make(chan error, 1)
	counters, ran := w.counters(t), w.packetsOn(1)
	var got verdict
	var out []byte
	go func() {
		result <- onCPU(1, func(int) error {
			ifindex, err := secondInterface()
			if err == nil {
				err = w.SetIface(ifindex, maps.Iface{MAC: besideMAC})
			}
			if err == nil {
				got, out, err = w.arrive(ifindex, r.in)
			}
			return err
		})
	}()
	w.must(<-result)
	r.judge(t, got, out, w.counters(t).since(counters))
	if n := w.packetsOn(1) - ran; n != 1 {
		t.Errorf("%d packets forwarded on CPU 1, want this one", n)
	}
}

func secondInterface() (uint32, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("make a network namespace: %w", err)
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "beside"}, PeerName: "peer"}
	if err := netlink.LinkAdd(veth); err != nil {
		return 0, fmt.Errorf("add a veth: %w", err)
	}
	link, err := netlink.LinkByName("beside")
	if err != nil {
		return 0, fmt.Errorf("find the veth: %w", err)
	}
	return uint32(link.Attrs().Index), nil
}

// arrive runs a frame as it comes in by an interface of the thread's network namespace.
func (w *world) arrive(ifindex uint32, in []byte) (verdict, []byte, error) {
	opts := ebpf.RunOptions{
		Data: in, DataOut: make([]byte, len(in)+64), Context: xdpContext{DataEnd: uint32(len(in)), IngressIfindex: ifindex},
	}
	ret, err := w.program.Run(&opts)
	if err != nil {
		return 0, nil, fmt.Errorf("run %d bytes by interface %d: %w", len(in), ifindex, err)
	}
	return verdict(ret), opts.DataOut, nil
}

// xdpContext is struct xdp_md of linux/bpf.h.
type xdpContext struct {
	Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32
}

// packetsOn counts what all backends were sent by one CPU.
func (w *world) packetsOn(cpu int) (sum uint64) {
	w.tb.Helper()
	counters := w.maps["backend_counters"]
	for id := range counters.MaxEntries() {
		var per []bpf.ProgramSent
		w.must(counters.Lookup(id, &per))
		sum += per[cpu].Packets
	}
	return sum
}
