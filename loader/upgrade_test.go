package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

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
			mustAttach(t, p, "a", "b")
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
	steps := 0
	t.Run("whole", func(t *testing.T) {
		cutUpgrade(t, func(string) { steps++ })
	})
	if steps < 10 {
		t.Fatalf("an upgrade has %d steps: too few to be cut at ten", steps)
	}
	for at := 1; at <= steps; at++ {
		t.Run(fmt.Sprint("before step ", at), func(t *testing.T) {
			t.Parallel()
			n := 0
			cutUpgrade(t, func(string) {
				if n++; n == at {
					panic(errCut)
				}
			})
		})
	}
}

var errCut = errors.New("cut")

// cutUpgrade begins an upgrade that a step may abandon, as a killed process does, and lets another loader finish it.
func cutUpgrade(t *testing.T, step func(string)) {
	mustNS(t)
	opt := options(mustBPFFS(t))
	p := mustOpen(t, opt)
	if err := p.Attach("a", Native, false); err != nil {
		t.Fatal(err)
	}
	before := mustPlant(t, p, 100)
	opt.Spec = mustSpec(t, bpfwide.LoadProgram)
	p.spec = opt.Spec
	abandon(t, p, step)
	p = mustOpen(t, opt)
	defer p.Close()
	if err := p.Upgrade(5000, nil); err != nil {
		t.Fatal(err)
	}
	if after := pins(p); !slices.Equal(before, after) {
		t.Errorf("%d pins before, %d after, or others", len(before), len(after))
	}
	mustBeAttached(t, p, 1)
	mustExist(t, opt.Dir+readySuffix, false)
	if err := Detach(opt.Dir); err != nil {
		t.Error(err)
	}
}

func abandon(t *testing.T, p *Plane, step func(string)) {
	defer func() {
		if r := recover(); r != nil && r != errCut {
			panic(r)
		}
	}()
	if err := p.Upgrade(5000, step); err != nil {
		t.Fatal(err)
	}
}

func TestAnUpgradeWhoseLinkUpdateFailsLeavesTheOldProgramRunning(t *testing.T) {
	// A link refuses a program of another attach type than the one that it runs.
	for name, unlike := range map[string]func(t *testing.T, p *Plane){
		"at the first of two links": func(t *testing.T, p *Plane) {
			mustAttach(t, p, "a", "b")
			p.spec = mustSpec(t, bpftest.LoadProgram)
			attachAs(p.spec, ebpf.AttachXDPDevMap)
		},
		"at the second of two links": func(t *testing.T, p *Plane) {
			mustAttach(t, p, "a")
			mustAttachUntyped(t, p, "b")
			p.spec = mustSpec(t, bpftest.LoadProgram)
		},
	} {
		t.Run(name, func(t *testing.T) {
			mustNS(t)
			opt := options(mustBPFFS(t))
			p := mustOpen(t, opt)
			defer p.Close()
			unlike(t, p)
			build, before := p.Build(), mustPlant(t, p, 100)
			programs := [2]uint32{mustProgramOn(t, "a"), mustProgramOn(t, "b")}
			if err := p.Upgrade(4096, nil); err == nil {
				t.Fatal("the upgrade succeeded")
			}
			if now := [2]uint32{mustProgramOn(t, "a"), mustProgramOn(t, "b")}; now != programs {
				t.Errorf("programs %v run, before it was %v", now, programs)
			}
			again := mustOpen(t, opt)
			defer again.Close()
			if again.Build() != build || !slices.Equal(pins(again), before) {
				t.Error("the old data plane is not as it was")
			}
			mustBeAttached(t, again, 2)
			mustExist(t, opt.Dir+readySuffix, false)
			mustExist(t, opt.Dir+buildingSuffix, false)
			if err := Detach(opt.Dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func mustAttach(t *testing.T, p *Plane, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := p.Attach(name, Native, false); err != nil {
			t.Fatal(err)
		}
	}
}

// mustAttachUntyped attaches the program, loaded without an attach type, and pins the link as the plane's.
func mustAttachUntyped(t *testing.T, p *Plane, name string) {
	t.Helper()
	spec := p.spec.Copy()
	attachAs(spec, ebpf.AttachNone)
	coll, err := load(spec, p.config, p.reuse(p.config))
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	typed := p.program
	defer func() { p.program = typed }()
	p.program = coll.Programs[programName]
	mustAttach(t, p, name)
}

// attachAs gives every XDP program the attach type: those that call each other have to agree in it.
func attachAs(spec *ebpf.CollectionSpec, as ebpf.AttachType) {
	for _, p := range spec.Programs {
		if p.Type == ebpf.XDP {
			p.AttachType = as
		}
	}
}

// mustProgramOn is the id of the program that an interface runs.
func mustProgramOn(t *testing.T, name string) uint32 {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if l.Attrs().Xdp == nil || l.Attrs().Xdp.ProgId == 0 {
		t.Fatalf("no program on %s", name)
	}
	return l.Attrs().Xdp.ProgId
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
