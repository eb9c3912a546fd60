package trace

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// Snap is how many bytes of a frame are copied at most.
const Snap = len(bpf.ProgramTraceEvent{}.In)

// Verdict is the XDP action that the program took.
type Verdict uint32

// The verdicts, as the kernel numbers them.
const (
	Aborted Verdict = iota
	Dropped
	Passed     // to the kernel's stack
	Sent       // back out of the interface that the packet came in on
	Redirected // out of another
)

// String is the verdict's name in the CLI and the API.
func (v Verdict) String() string {
	if v > Redirected {
		return "unknown"
	}
	return [...]string{"aborted", "drop", "pass", "tx", "redirect"}[v]
}

// Event is one packet that the program has decided about.
type Event struct {
	Time    time.Time // when it came in
	IfIndex uint32
	CPU     uint32
	Verdict Verdict
	Pin     maps.Meta // of its flow, as the packet found it; 0: none
	Service uint16    // index, of its listener; 0: it is for none
	noted   uint16    // backend's id, when the hot program handed the packet on to be sent
	Reasons []maps.Reason
	In, Out Frame // Out is what was in the buffer in the end, of a packet that was dropped too
}

// Frame is the beginning of a frame, at most [Snap] bytes.
type Frame struct {
	Len   uint32 // of the whole
	Bytes []byte
}

// Backend is the id of the backend that the packet went to, came from or was meant for; 0: there is none. Only a plain hit
// says nothing of it: it went where its pin leads.
func (e Event) Backend() uint16 {
	if e.noted != 0 {
		return e.noted
	}
	return e.Pin.Backend()
}

func (t *Trace) decode(raw []byte) (Event, error) {
	var e bpf.ProgramTraceEvent
	if _, err := binary.Decode(raw, binary.NativeEndian, &e); err != nil {
		return Event{}, fmt.Errorf("read a traced packet of %d bytes: %w", len(raw), err)
	}
	out := Event{
		Time: t.boot.Add(time.Duration(e.TimeNs)), IfIndex: e.Ifindex, CPU: e.Cpu, Verdict: Verdict(e.Verdict),
		Pin: maps.Meta(e.Pin), Service: e.Service, noted: uint16(e.Backend),
		In: Frame{e.InLen, e.In[:e.InCap]}, Out: Frame{e.OutLen, e.Out[:e.OutCap]},
	}
	for r := range bpf.ProgramReasonREASONS {
		if e.Reasons>>r&1 != 0 {
			out.Reasons = append(out.Reasons, r)
		}
	}
	return out, nil
}
