package bpf

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

func TestLoads(t *testing.T) {
	rlimit.RemoveMemlock()
	spec, err := LoadProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"flows4", "flows6", "cold4", "cold6"} {
		spec.Maps[n].MaxEntries = 4096
	}
	var cfg ProgramConfig
	cfg.Layouts[0][0] = ProgramLayout{Lines: 2048, Stash: 16, LineBytes: 64, MetaOff: 32, MetaStride: 8, KeyOff: [3]uint16{0}, KeyStride: [3]uint16{8}}
	cfg.Layouts[0][1] = ProgramLayout{Lines: 2048, Stash: 16, LineBytes: 128, MetaOff: 0, MetaStride: 8, KeyOff: [3]uint16{32, 64, 72}, KeyStride: [3]uint16{8, 16, 16}}
	if err := spec.Variables["CONFIG"].Set(cfg); err != nil {
		t.Fatal(err)
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
	if err != nil {
		var v *ebpf.VerifierError
		if errors.As(err, &v) {
			l := v.Log
			if len(l) > 60 {
				l = l[len(l)-60:]
			}
			for _, x := range l {
				t.Log(x)
			}
		}
		t.Fatal(err)
	}
	for n, p := range c.Programs {
		t.Log(n, p.VerifierLog)
	}
	c.Close()
}
