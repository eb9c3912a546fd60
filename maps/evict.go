package maps

import (
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Eviction says which sessions of a service shall move.
type Eviction struct {
	Service    uint16       // index
	Generation uint16       // index; 0: any
	Client     netip.Prefix // the zero Prefix: any
}

// Evict marks at most so many sessions, and says how many it marked. Their next packets move them. Flows that are closing
// are left to end.
func (t *Tables) Evict(evicter *ebpf.Program, e Eviction, most uint32) (marked uint32, err error) {
	for _, f := range families {
		if e.Client.IsValid() && familyOf(e.Client.Addr()) != f {
			continue
		}
		lines := t.SlotCount(f) / Slots
		for first := uint32(0); first < lines && marked < most; first += sliceLines {
			args := bpf.ProgramEvictArgs{
				Table: f, First: first, Lines: min(sliceLines, lines-first), Generation: e.Generation, Service: e.Service, Most: most - marked,
			}
			if e.Client.IsValid() {
				args.Bits, args.Client = uint8(e.Client.Bits()), wireAddr(e.Client.Masked().Addr())
			}
			ret, err := evicter.Run(&ebpf.RunOptions{Context: &args, ContextOut: &args})
			if err != nil {
				return marked, fmt.Errorf("mark sessions of service index %d in lines %d to %d: %w", e.Service, first, first+args.Lines, err)
			}
			if ret != 0 {
				return marked, fmt.Errorf("mark sessions of service index %d in lines %d to %d: refused with %d", e.Service, first, first+args.Lines, int32(ret))
			}
			marked += args.Marked
		}
	}
	return marked, nil
}
