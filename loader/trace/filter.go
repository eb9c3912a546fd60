package trace

import (
	"encoding/binary"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
)

const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
)

// grace is how much later than asked the tracer goes quiet by itself: it takes time to load.
const grace = time.Minute

// newFilter puts the options into the tracer's words: addresses and types as they are on the wire.
func newFilter(opt Options, now time.Duration) bpf.ProgramTraceFilter {
	f := bpf.ProgramTraceFilter{
		Sample: max(1, opt.Sample), Rate: opt.Rate, UntilNs: uint64(now + opt.For + grace), EthProto: wireType(typeIPv6),
	}
	if opt.Client.Addr().Is4() {
		f.EthProto = wireType(typeIPv4)
	}
	var mask [16]byte
	for i := range opt.Client.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	putWords(&f.Mask, mask[:])
	putWords(&f.Addr, opt.Client.Masked().Addr().AsSlice())
	return f
}

func putWords(to *[4]uint32, b []byte) {
	for i := range len(b) / 4 {
		to[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
}

func wireType(t uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], t)
	return binary.NativeEndian.Uint16(b[:])
}
