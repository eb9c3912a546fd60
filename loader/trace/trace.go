// Package trace has the tracer: the hot program with a wrapper around it, which copies what it sees of chosen packets into
// a ring. It forwards as the program does, on the same maps, and takes its place while somebody traces.
package trace

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
)

// Options say what is traced.
type Options struct {
	Client netip.Prefix  // source or destination of the packets
	Sample uint32        // one packet of so many, by chance; 0: each
	Rate   uint32        // packets a second and CPU, at most
	For    time.Duration // nothing is traced later, even if nobody takes the tracer away
}

// Trace is a tracer in the kernel. Close lets go of it.
type Trace struct {
	coll   *ebpf.Collection
	ring   *ringbuf.Reader
	record ringbuf.Record
	end    time.Time
	boot   time.Time // when CLOCK_MONOTONIC was 0, by the clock on the wall
}

// Load loads the tracer of an object for a data plane whose maps these are, and which was loaded from the same object. It
// is attached to nothing.
func Load(spec *ebpf.CollectionSpec, of map[string]*ebpf.Map, opt Options) (*Trace, error) {
	now, err := monotonic()
	if err != nil {
		return nil, err
	}
	only, shared, err := specFor(spec, of)
	if err != nil {
		return nil, err
	}
	if err := only.Variables[bpf.TracerFilter].Set(newFilter(opt, now)); err != nil {
		return nil, fmt.Errorf("set the tracer's filter: %w", err)
	}
	coll, err := ebpf.NewCollectionWithOptions(only, ebpf.CollectionOptions{MapReplacements: shared})
	if err != nil {
		return nil, fmt.Errorf("load the tracer: %w", err)
	}
	ring, err := ringbuf.NewReader(coll.Maps[bpf.TracerRing])
	if err != nil {
		coll.Close()
		return nil, fmt.Errorf("read the tracer's ring: %w", err)
	}
	t := &Trace{coll: coll, ring: ring, end: time.Now().Add(opt.For), boot: time.Now().Add(-now)}
	ring.SetDeadline(t.end)
	return t, nil
}

// specFor is the tracer alone, sized for the maps that it shares with the data plane: all but its own.
func specFor(spec *ebpf.CollectionSpec, of map[string]*ebpf.Map) (*ebpf.CollectionSpec, map[string]*ebpf.Map, error) {
	only, shared := spec.Copy(), map[string]*ebpf.Map{}
	if only.Programs[bpf.Tracer] == nil {
		return nil, nil, errors.New("the object has no tracer")
	}
	only.Programs = map[string]*ebpf.ProgramSpec{bpf.Tracer: only.Programs[bpf.Tracer]}
	for name, m := range only.Maps {
		if bpf.IsTracers(name) {
			continue
		}
		have := of[name]
		if have == nil {
			return nil, nil, fmt.Errorf("load the tracer: the data plane has no map %s", name)
		}
		m.MaxEntries, m.ValueSize, m.Contents = have.MaxEntries(), have.ValueSize(), nil
		shared[name] = have
	}
	maps.DeleteFunc(only.Variables, func(name string, _ *ebpf.VariableSpec) bool { return name != bpf.TracerFilter })
	return only, shared, nil
}

// Program is what is to run in the place of the hot one.
func (t *Trace) Program() *ebpf.Program { return t.coll.Programs[bpf.Tracer] }

// ErrInterrupted ends [Trace.Next] after [Trace.Interrupt].
var ErrInterrupted = ringbuf.ErrFlushed

// Next waits for the next packet. Its error is [os.ErrDeadlineExceeded] when the time of the trace is over, and
// [ErrInterrupted] after Interrupt: both when no packet that came before is left. The event's bytes are the caller's until
// the next call.
func (t *Trace) Next() (Event, error) {
	if err := t.ring.ReadInto(&t.record); err != nil {
		return Event{}, err
	}
	e, err := t.decode(t.record.RawSample)
	if err == nil && e.Time.After(t.end) { // whoever is traced may send faster than this is read
		return Event{}, os.ErrDeadlineExceeded
	}
	return e, err
}

// Poll is Next without waiting: its error is [os.ErrDeadlineExceeded] when there is no packet.
func (t *Trace) Poll() (Event, error) {
	t.ring.SetDeadline(time.Now())
	defer t.ring.SetDeadline(t.end)
	return t.Next()
}

// Interrupt makes Next, in another goroutine, wait no more.
func (t *Trace) Interrupt() { _ = t.ring.Flush() } // fails for a reader that is closed only

// Close lets go of the tracer. The kernel frees it with the last link that runs it.
func (t *Trace) Close() error {
	err := t.ring.Close()
	t.coll.Close()
	return err
}

// Counts say how many packets agreed with the filter, and why some of them are no events.
type Counts struct {
	Matched    uint64
	SampledOut uint64 // not chosen
	OverRate   uint64
	Lost       uint64 // the ring was full
}

// Counts reads them, over all CPUs.
func (t *Trace) Counts() (Counts, error) {
	var per []bpf.ProgramTraceScratch
	if err := t.coll.Maps[bpf.TracerCounts].Lookup(uint32(0), &per); err != nil {
		return Counts{}, fmt.Errorf("read the tracer's counts: %w", err)
	}
	var sum Counts
	for _, s := range per {
		sum.Matched += s.Counts.Matched
		sum.SampledOut += s.Counts.SampledOut
		sum.OverRate += s.Counts.OverRate
		sum.Lost += s.Counts.Lost
	}
	return sum, nil
}

func monotonic() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return time.Duration(now.Nano()), nil
}
