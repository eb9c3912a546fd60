package loader

import (
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// A program that another root process put on our link holds the interface, and is not taken for ours.
func TestAProgramInOurPlaceIsSeen(t *testing.T) {
	mustNS(t)
	p, err := Open(options(mustBPFFS(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Attach("a", Native, false); err != nil {
		t.Fatal(err)
	}
	mustBeHeldBy(t, p, 0)
	foreign, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	info, err := foreign.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	l, err := link.LoadPinnedLink(filepath.Join(p.Dir(), linksDir, pinName("a")), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Update(foreign); err != nil {
		t.Fatal(err)
	}
	mustBeHeldBy(t, p, id)
	if err := Detach(p.Dir()); err != nil {
		t.Error(err)
	}
}

func mustBeHeldBy(t *testing.T, p *Plane, foreign ebpf.ProgramID) {
	t.Helper()
	at, err := p.Attached()
	if err != nil || len(at) != 1 || at[0].Foreign != foreign {
		t.Errorf("attached: %+v (%v), want program %d in our place", at, err, foreign)
	}
}
