package loader

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/loader/trace"
)

var anyClient = trace.Options{Client: netip.MustParsePrefix("0.0.0.0/0"), Rate: 1000, For: time.Minute}

func mustTrace(t *testing.T, p *Plane) *trace.Trace {
	t.Helper()
	tracer, err := p.Tracer()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := tracer.Load(anyClient)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { tr.Close() })
	if err := p.Trace(tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

// runsOn is the program on an interface, by its name and tag in the kernel.
func runsOn(t *testing.T, name string) (id uint32, program, tag string) {
	t.Helper()
	id = mustProgramOn(t, name)
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	return id, info.Name, info.Tag
}

func mustAttached(t *testing.T, dir string, interfaces ...string) *Plane {
	t.Helper()
	p := mustOpen(t, options(dir))
	mustAttach(t, p, interfaces...)
	return p
}

// While nobody traces, before and after, the very program runs that did before; in between the tracer, on each interface.
func TestATraceIsThereOnlyWhileItRuns(t *testing.T) {
	mustNS(t)
	mustVeth(t, "c", "d")
	p := mustAttached(t, mustBPFFS(t), "a", "c")
	defer p.Close()
	before, name, tag := runsOn(t, "a")
	if name != programName {
		t.Fatalf("program %s runs", name)
	}
	tr := mustTrace(t, p)
	for _, on := range []string{"a", "c"} {
		if _, name, _ := runsOn(t, on); name != bpf.Tracer {
			t.Errorf("while somebody traces, %s runs on %s", name, on)
		}
	}
	info, err := tr.Program().Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if err := errors.Join(p.Untrace(), tr.Close()); err != nil {
		t.Fatal(err)
	}
	for _, on := range []string{"a", "c"} {
		if is, _, is2 := runsOn(t, on); is != before || is2 != tag {
			t.Errorf("after the trace, program %d of tag %s runs on %s, before it was %d of %s", is, is2, on, before, tag)
		}
	}
	mustBeGone(t, id)
}

// mustBeGone waits until the kernel has freed a program: the packets in it have to leave first.
func mustBeGone(t *testing.T, id ebpf.ProgramID) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			return
		}
		p.Close()
	}
	t.Errorf("program %d is still there", id)
}

// A daemon that is killed leaves the tracer in place, which forwards; the next one takes it away.
func TestTheNextDaemonTakesATracerAway(t *testing.T) {
	mustNS(t)
	dir := mustBPFFS(t)
	killed := mustAttached(t, dir, "a")
	before, _, _ := runsOn(t, "a")
	tr := mustTrace(t, killed)
	if err := errors.Join(tr.Close(), killed.Close()); err != nil { // as the end of a process does
		t.Fatal(err)
	}
	if _, name, _ := runsOn(t, "a"); name != bpf.Tracer {
		t.Errorf("%s runs", name)
	}
	next := mustAttached(t, dir)
	defer next.Close()
	if err := next.Untrace(); err != nil {
		t.Fatal(err)
	}
	if is, name, _ := runsOn(t, "a"); is != before {
		t.Errorf("%s runs, program %d, before it was %d", name, is, before)
	}
}

// An upgrade replaces a tracer as it does the program, and what ends the trace later leaves the new program alone.
func TestAnUpgradeReplacesATracer(t *testing.T) {
	mustNS(t)
	p := mustAttached(t, mustBPFFS(t), "a")
	defer p.Close()
	before, _, _ := runsOn(t, "a")
	tr := mustTrace(t, p)
	if err := p.Upgrade(20000, nil); err != nil {
		t.Fatal(err)
	}
	upgraded, name, _ := runsOn(t, "a")
	if name != programName || upgraded == before {
		t.Errorf("%s runs, program %d, before it was %d", name, upgraded, before)
	}
	if err := errors.Join(p.Untrace(), tr.Close()); err != nil {
		t.Fatal(err)
	}
	if is, _, _ := runsOn(t, "a"); is != upgraded {
		t.Errorf("program %d runs, after the upgrade it was %d", is, upgraded)
	}
}

func TestAnotherBuildIsNotTraced(t *testing.T) {
	mustNS(t)
	p := mustAttached(t, mustBPFFS(t), "a")
	defer p.Close()
	p.config.Build[0]++
	if _, err := p.Tracer(); !errors.Is(err, ErrOtherBuild) {
		t.Errorf("got %v", err)
	}
}
