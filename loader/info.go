package loader

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Dir is the directory of the pins.
func (p *Plane) Dir() string { return p.dir }

// MaxFlows is what the tables in the kernel were sized for.
func (p *Plane) MaxFlows() uint32 { return p.config.MaxFlows }

// Build identifies the program in the kernel.
func (p *Plane) Build() string { return hex.EncodeToString(p.config.Build[:]) }

// Outdated says whether the data plane in the kernel is of another build than this loader's or of another
// size, or an upgrade of it was cut short.
func (p *Plane) Outdated(maxFlows uint32) bool {
	return p.config.Build != buildOf(p.spec) || p.config.MaxFlows != maxFlows || p.config.Previous != 0
}

// buildOf is a digest of the programs' instructions: what the kernel runs, whatever file it came from.
func buildOf(spec *ebpf.CollectionSpec) (id [8]uint8) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if name == samplerName || name == bpf.Tracer {
			continue
		}
		for _, ins := range spec.Programs[name].Instructions {
			fmt.Fprintf(h, "%v %v %v %d %d %s\n", ins.OpCode, ins.Dst, ins.Src, ins.Offset, ins.Constant, ins.Reference())
		}
	}
	copy(id[:], h.Sum(nil))
	return id
}

// Now is the data plane's clock, in ticks.
func (p *Plane) Now() (uint32, error) {
	var sample bpf.ProgramTickSample
	if _, err := p.sampler.Run(&ebpf.RunOptions{Context: &sample, ContextOut: &sample}); err != nil {
		return 0, fmt.Errorf("read the data plane's clock: %w", err)
	}
	return uint32(sample.Jiffies>>p.config.TickShift) & tickMask, nil
}
