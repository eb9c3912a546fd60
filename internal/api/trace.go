package api

import (
	"net/netip"
	"time"
)

// Bounds of a [TraceRequest].
const (
	MaxTraceTime = 10 * time.Minute
	MaxTraceRate = 100_000
)

// TraceRequest asks for what the program does with a client's packets, and with
// what backends answer, from now on. It has an end, whatever happens: a time,
// and where Count is not 0, a number of packets.
type TraceRequest struct {
	Client  string  `json:"client"` // an address or a prefix
	Service string  `json:"service,omitempty"`
	Count   uint64  `json:"count,omitempty"`
	Seconds float64 `json:"seconds"`
	Sample  uint32  `json:"sample,omitempty"` // one packet of so many, by chance; 0: each
	Rate    uint32  `json:"rate"`             // packets a second and CPU, at most
	Frames  bool    `json:"frames,omitempty"` // with the frames themselves
}

// For gives Seconds as a duration.
func (r TraceRequest) For() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

// Prefix gives Client as a prefix.
func (r TraceRequest) Prefix() (netip.Prefix, error) {
	return FlowFilter{Client: r.Client}.ClientPrefix()
}

func (r TraceRequest) validate() error {
	if r.Client == "" {
		return Errorf(Usage, "client: want an address or a prefix such as 198.51.100.0/24")
	}
	if d := r.For(); d <= 0 || d > MaxTraceTime {
		return Errorf(Usage, "time %s: want more than 0 and at most %s", d, MaxTraceTime)
	}
	if r.Rate == 0 || r.Rate > MaxTraceRate {
		return Errorf(Usage, "rate %d: want 1 to %d packets a second", r.Rate, MaxTraceRate)
	}
	_, err := r.Prefix()
	return err
}

// Traced is one line of a trace: the first one says that it has begun, the last
// one why it ended.
type Traced struct {
	Begun  *TraceBegun   `json:"begun,omitempty"`
	Packet *TracedPacket `json:"packet,omitempty"`
	End    *TraceEnd     `json:"end,omitempty"`
}

// TraceBegun says where: packets that come in there from now on are traced.
type TraceBegun struct {
	Interfaces []string `json:"interfaces"`
}

// TracedPacket is what the program did with one packet. Fields that it has no
// answer for are empty.
type TracedPacket struct {
	Time         time.Time     `json:"time"` // when it came in
	Interface    string        `json:"interface"`
	CPU          uint32        `json:"cpu"`
	Protocol     string        `json:"protocol"`
	Source       string        `json:"source"` // with the port, where it has one
	Destination  string        `json:"destination"`
	Bytes        uint32        `json:"bytes"`   // of the frame
	Verdict      string        `json:"verdict"` // pass, drop, tx, redirect or aborted
	Reasons      []string      `json:"reasons"` // that were counted for it
	Service      string        `json:"service"`
	Generation   GenerationRef `json:"generation"`
	Backend      string        `json:"backend"` // its address
	State        string        `json:"state"`   // of its flow when it came; "": it had no pin
	OutInterface string        `json:"out_interface"`
	OutMAC       string        `json:"out_mac"` // that it was sent to
	OutBytes     uint32        `json:"out_bytes"`
	In           []byte        `json:"in,omitempty"`  // beginning of the frame as it came in
	Out          []byte        `json:"out,omitempty"` // and as it was sent
}

// TraceEnd says why a trace ended, and what it did not show.
type TraceEnd struct {
	Reason     string `json:"reason"`
	Shown      uint64 `json:"shown"`
	Matched    uint64 `json:"matched"` // packets from or to the client
	SampledOut uint64 `json:"sampled_out"`
	OverRate   uint64 `json:"over_rate"`
	Lost       uint64 `json:"lost"`   // the daemon was too slow to take them
	Others     uint64 `json:"others"` // of other services
}
