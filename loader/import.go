package loader

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
)

// importPasses bounds the passes over the previous table: one moves nearly all; a pin that was being written, or found
// no room, is left to the next.
const importPasses = 8

// importAll moves every pin of the previous tables to the current ones. All links run the new program.
func (p *Plane) importAll(step func(string)) error {
	step("upgrade: barrier")
	if _, err := p.Barrier(); err != nil {
		return err
	}
	step("upgrade: pin in the new tables")
	p.Tables.SetPinPrevious(false)
	if _, err := p.Barrier(); err != nil {
		return err
	}
	importer, err := openProgram(p.dir, importerName)
	if err != nil {
		return err
	}
	defer importer.Close()
	left := uint32(0)
	for range importPasses {
		step("upgrade: import")
		if left, err = p.importPass(importer); err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
	}
	return fmt.Errorf("import the previous flow table: %d flows find no room in the new one; raise max_flows", left)
}

// importPass visits every line of the previous tables once.
func (p *Plane) importPass(importer *ebpf.Program) (uint32, error) {
	p.Tables.ResetImport()
	var lines uint32
	for _, f := range maps.Families() {
		lines += maps.LinesOf(p.config.Layouts[1][f])
	}
	_, err := importer.Run(&ebpf.RunOptions{
		Data: make([]byte, 64), Repeat: lines, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
		Context: xdpContext{DataEnd: 64},
	})
	if err != nil {
		return 0, fmt.Errorf("run the importer: %w", err)
	}
	return p.Tables.ImportLeft(), nil
}

// xdpContext is struct xdp_md of linux/bpf.h.
type xdpContext struct {
	Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32
}
