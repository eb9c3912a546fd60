// Package storm floods a load balancer with as many packets as this machine can make: they come from an XDP program that
// runs on live frames, and end behind the load balancer in another.
package storm

import (
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// The networks that floods come from. No host of a test is in them.
var (
	Net4 = netip.MustParsePrefix("198.18.0.0/15")
	Net6 = netip.MustParsePrefix("2001:db8:f::/64")
)

// FrameSize is the longest frame of a flood; shorter ones are padded to it.
const FrameSize = len(ProgramTemplate{}.Frame)

// Template is a frame of a flood.
type Template struct {
	Frame []byte
	// Addr and Port say where the last four bytes of the sender's address and his port lie, ID where the identification
	// of a fragment. 0: there is none to be written.
	Addr, Port, ID int
}

// Storm is the programs.
type Storm struct {
	programs ProgramObjects
}

// New loads them. The caller closes it.
func New() (*Storm, error) { return load(nil) }

// load takes the load balancer's services, or nil when there is no race to be.
func load(services *ebpf.Map) (*Storm, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the limit of locked memory: %w", err)
	}
	spec, err := LoadProgram()
	if err != nil {
		return nil, fmt.Errorf("read the flood: %w", err)
	}
	for _, name := range []string{"absorb", "witness"} {
		spec.Programs[name].AttachType = ebpf.AttachNone // as the lab's program has it, or they could not take its place
	}
	opts := &ebpf.CollectionOptions{}
	if services != nil {
		spec.Maps["services"].MaxEntries, spec.Maps["services"].ValueSize = services.MaxEntries(), services.ValueSize()
		opts.MapReplacements = map[string]*ebpf.Map{"services": services}
	}
	s := &Storm{}
	if err := spec.LoadAndAssign(&s.programs, opts); err != nil {
		return nil, fmt.Errorf("load the flood: %w", err)
	}
	return s, nil
}

// Close lets the programs go.
func (s *Storm) Close() error { return s.programs.Close() }

// Absorber is the program that drops what is of a flood and passes all else.
func (s *Storm) Absorber() *ebpf.Program { return s.programs.Absorb }

// Set makes the flood one of these two frames in turn.
func (s *Storm) Set(pair [2]Template) error {
	for i, t := range pair {
		if len(t.Frame) > FrameSize-4 {
			return fmt.Errorf("a frame of a flood has %d bytes, more than %d", len(t.Frame), FrameSize-4)
		}
		w := ProgramTemplate{Addr: place(t.Addr), Port: place(t.Port), Id: place(t.ID)}
		copy(w.Frame[:], t.Frame)
		if t.Frame[12] == 0x08 {
			w.Ipv4 = 1
		}
		if err := s.programs.Templates.Put(uint32(i), w); err != nil {
			return fmt.Errorf("set a frame of a flood: %w", err)
		}
	}
	return nil
}

// place is where a word goes; what is not to be written goes into the padding.
func place(at int) uint16 {
	if at == 0 {
		return uint16(FrameSize - 4)
	}
	return uint16(at)
}

// xdpContext is struct xdp_md of linux/bpf.h.
type xdpContext struct {
	Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32
}

// Flood sends that many packets from an interface, as fast as the CPU that calls it can, which has to be in the
// interface's namespace.
func (s *Storm) Flood(index, packets int) error { return s.run(s.programs.Flood, index, packets) }

func (s *Storm) run(program *ebpf.Program, index, packets int) error {
	_, err := program.Run(&ebpf.RunOptions{
		Data: make([]byte, FrameSize), Repeat: uint32(packets), Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
		Context: xdpContext{DataEnd: uint32(FrameSize), IngressIfindex: uint32(index)},
	})
	if err != nil {
		return fmt.Errorf("run %d packets: %w", packets, err)
	}
	return nil
}

// Absorbed is how many packets of floods came out behind the load balancer.
func (s *Storm) Absorbed() (uint64, error) { return s.count(ProgramCountABSORBED) }

func (s *Storm) count(of ProgramCount) (n uint64, err error) {
	if err := s.programs.Counts.Lookup(of, &n); err != nil {
		return 0, fmt.Errorf("read what was counted: %w", err)
	}
	return n, nil
}
