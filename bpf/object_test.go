package bpf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// The verifier's verdict depends on what the loader sets before load: every constant that opens or closes a branch.
func TestEveryProgramLoadsWithEveryConfiguration(t *testing.T) {
	for _, build := range []struct {
		name string
		load func() (*ebpf.CollectionSpec, error)
	}{{"shipped", bpf.LoadProgram}, {"test", bpftest.LoadProgram}} {
		for _, weak := range []uint8{0, 1} {
			for _, previous := range []uint8{0, 1} {
				t.Run(fmt.Sprintf("%s build, weak order %d, previous %d", build.name, weak, previous), func(t *testing.T) {
					spec, err := build.load()
					if err != nil {
						t.Fatal(err)
					}
					checkLoads(t, spec, bpf.ProgramConfig{TickShift: 8, WeakOrder: weak, Previous: previous})
				})
			}
		}
	}
}

// complexity is how many instructions the verifier may look at: kernels differ, so there is room left to the million
// that all of them allow.
const complexity = 900_000

func checkLoads(t *testing.T, spec *ebpf.CollectionSpec, config bpf.ProgramConfig) {
	t.Helper()
	for table, prefix := range []string{"", "previous_"} {
		for _, f := range maps.Families() {
			l := maps.LayoutFor(f, 1000)
			config.Layouts[table][f] = l
			spec.Maps[fmt.Sprint(prefix, "flows", 4+2*f)].MaxEntries = maps.LinesOf(l)
			spec.Maps[fmt.Sprint(prefix, "cold", 4+2*f)].MaxEntries = maps.LinesOf(l) * maps.Slots
		}
	}
	if err := spec.Variables["CONFIG"].Set(config); err != nil {
		t.Fatal(err)
	}
	coll := mustLoad(t, spec)
	for name, program := range coll.Programs {
		info, err := program.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.VerifiedInstructions()
		if !ok || n > complexity {
			t.Errorf("program %s: the verifier looked at %d instructions (known: %v), want at most %d", name, n, ok, complexity)
		}
		t.Logf("program %s: %d instructions verified", name, n)
	}
}

func mustLoad(t *testing.T, spec *ebpf.CollectionSpec) *ebpf.Collection {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil && !errors.Is(err, unix.EPERM) {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, unix.EPERM) {
		t.Fatal("this test loads BPF programs: run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(coll.Close)
	return coll
}

// What tests leave out or slow down must not be in the object that ships.
func TestTheShippedObjectHasNoTestHooks(t *testing.T) {
	shipped, err := bpf.LoadProgram()
	if err != nil {
		t.Fatal(err)
	}
	test, err := bpftest.LoadProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"LEAVE_OUT", "STALL_LOOPS"} {
		if shipped.Variables[name] != nil {
			t.Errorf("the shipped object has %s", name)
		}
		if test.Variables[name] == nil {
			t.Errorf("the test object lacks %s", name)
		}
	}
	for name, program := range shipped.Programs {
		for _, ins := range program.Instructions {
			if strings.HasPrefix(ins.Symbol(), "stall") {
				t.Errorf("program %s of the shipped object has %s", name, ins.Symbol())
			}
		}
	}
}

// Both builds have the same maps: a test of one says something about the other.
func TestBothBuildsHaveTheSameMaps(t *testing.T) {
	shipped, err := bpf.LoadProgram()
	if err != nil {
		t.Fatal(err)
	}
	test, err := bpftest.LoadProgram()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range shipped.Maps {
		if strings.HasPrefix(name, ".rodata") {
			continue
		}
		o := test.Maps[name]
		if o == nil || o.Type != m.Type || o.KeySize != m.KeySize || o.ValueSize != m.ValueSize || o.Flags != m.Flags {
			t.Errorf("map %s: %v, in the test build %v", name, m, o)
		}
	}
}

// What the daemon configures is read-only to the program, but for maps that the daemon maps to write: the kernel
// refuses a writable mapping of a read-only one.
func TestConfigurationIsReadOnlyToTheProgram(t *testing.T) {
	spec, err := bpf.LoadProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"listeners4", "listeners6", "replies4", "replies6", "vips"} {
		if spec.Maps[name].Flags&unix.BPF_F_RDONLY_PROG == 0 {
			t.Errorf("map %s: the program may write it", name)
		}
	}
}
