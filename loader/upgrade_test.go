package loader

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/bpf/bpfwide"
	"github.com/ebbtide/ebbtide/maps"
)

func mustOpen(t *testing.T, opt Options) *Plane {
	t.Helper()
	p, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustSpec(t *testing.T, load func() (*ebpf.CollectionSpec, error)) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestAnUpgradeKeepsEveryPin(t *testing.T) {
	for _, c := range []struct {
		name     string
		load     func() (*ebpf.CollectionSpec, error)
		maxFlows uint32
	}{
		{"another program, the same tables", bpftest.LoadProgram, 4096},
		{"slots of another size", bpfwide.LoadProgram, 4096},
		{"more flows", bpf.LoadProgram, 20000},
		{"fewer flows, but enough", bpf.LoadProgram, 2048},
	} {
		t.Run(c.name, func(t *testing.T) {
			mustNS(t)
			opt := options(mustBPFFS(t))
			p := mustOpen(t, opt)
			for _, name := range []string{"a", "b"} {
				if err := p.Attach(name, Native, false); err != nil {
					t.Fatal(err)
				}
			}
			before := mustPlant(t, p, 1000)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			opt.Spec = mustSpec(t, c.load)
			p = mustOpen(t, opt)
			defer p.Close()
			if !p.Outdated(c.maxFlows) {
				t.Fatal("the data plane does not count as outdated")
			}
			if err := p.Upgrade(c.maxFlows, nil); err != nil {
				t.Fatal(err)
			}
			if p.Outdated(c.maxFlows) || p.Importing() != "" {
				t.Error("outdated after the upgrade")
			}
			if after := pins(p); !slices.Equal(before, after) {
				t.Errorf("%d pins before, %d after, or others", len(before), len(after))
			}
			mustBeAttached(t, p, 2)
			mustExist(t, opt.Dir, true)
			mustExist(t, opt.Dir+readySuffix, false)
			mustExist(t, opt.Dir+buildingSuffix, false)
			if err := Detach(opt.Dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnUpgradeCutShortAtAnyStepIsFinishedByTheNext(t *testing.T) {
	cut := errors.New("cut")
	for at := 1; ; at++ {
		mustNS(t)
		opt := options(mustBPFFS(t))
		p := mustOpen(t, opt)
		if err := p.Attach("a", Native, false); err != nil {
			t.Fatal(err)
		}
		before := mustPlant(t, p, 100)
		opt.Spec = mustSpec(t, bpfwide.LoadProgram)
		p.spec = opt.Spec
		reached := cutAt(t, p, at, cut)
		p = mustOpen(t, opt)
		if err := p.Upgrade(5000, nil); err != nil {
			t.Fatalf("after a cut before step %d: %v", at, err)
		}
		if after := pins(p); !slices.Equal(before, after) {
			t.Errorf("cut before step %d: %d pins before, %d after, or others", at, len(before), len(after))
		}
		mustBeAttached(t, p, 1)
		mustExist(t, opt.Dir+readySuffix, false)
		p.Close()
		if err := Detach(opt.Dir); err != nil {
			t.Error(err)
		}
		if !reached {
			if at < 11 {
				t.Errorf("only %d steps", at-1)
			}
			return
		}
	}
}

// cutAt begins an upgrade and abandons it, as a killed process does, before its at-th step.
func cutAt(t *testing.T, p *Plane, at int, cut error) (reached bool) {
	defer func() {
		if r := recover(); r != nil && r != cut {
			panic(r)
		}
	}()
	n := 0
	err := p.Upgrade(5000, func(string) {
		if n++; n == at {
			reached = true
			panic(cut)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return reached
}

func TestAnUpgradeWhoseLinkUpdateFailsLeavesTheOldProgramRunning(t *testing.T) {
	mustNS(t)
	opt := options(mustBPFFS(t))
	p := mustOpen(t, opt)
	defer p.Close()
	if err := p.Attach("a", Native, false); err != nil {
		t.Fatal(err)
	}
	build, before := p.Build(), mustPlant(t, p, 100)
	p.spec = mustSpec(t, bpftest.LoadProgram)
	// A link refuses a program of another attach type than the one that it runs.
	p.spec.Programs[programName].AttachType = ebpf.AttachXDPDevMap
	if err := p.Upgrade(4096, nil); err == nil {
		t.Fatal("the upgrade succeeded")
	}
	again := mustOpen(t, opt)
	defer again.Close()
	if again.Build() != build || !slices.Equal(pins(again), before) {
		t.Error("the old data plane is not as it was")
	}
	mustBeAttached(t, again, 1)
	mustExist(t, opt.Dir+readySuffix, false)
	mustExist(t, opt.Dir+buildingSuffix, false)
	if err := Detach(opt.Dir); err != nil {
		t.Error(err)
	}
}

func mustBeAttached(t *testing.T, p *Plane, n int) {
	t.Helper()
	at, err := p.Attached()
	if err != nil || len(at) != n {
		t.Errorf("attached: %+v, %v", at, err)
	}
}

func mustExist(t *testing.T, path string, want bool) {
	t.Helper()
	if _, err := os.Stat(path); (err == nil) != want {
		t.Errorf("%s: exists %v, want %v", path, err == nil, want)
	}
}

// pins lists every pin, with what makes it one: the slot may change, the rest may not.
func pins(p *Plane) []string {
	var out []string
	for f := range p.Tables.Flows() {
		f.Slot = 0
		out = append(out, flowText(f))
	}
	slices.Sort(out)
	return out
}

func flowText(f maps.Flow) string {
	return f.Client.String() + " " + maps.StateName(f.State) + " " + string(rune('a'+f.Backend)) + " " + string(rune(f.VIP)) + string(rune(f.Start))
}
