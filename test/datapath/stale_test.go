package datapath

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
)

// staleBytes are as many bytes before a frame as every kernel takes for metadata.
const staleBytes = 32

// runOnStaleBytes sends a frame that has so many bytes of metadata before it: a program that makes room there finds them
// where its headers will be. The kernel moves the metadata before what the program made; it has to be there untouched.
func (p *plane) runOnStaleBytes(tb testing.TB, in []byte, n int) (verdict, []byte) {
	tb.Helper()
	stale := bytes.Repeat([]byte{0x5a}, n)
	opts := ebpf.RunOptions{
		Data: append(stale, in...), DataOut: make([]byte, n+len(in)+64),
		Context: xdpContext{Data: uint32(n), DataEnd: uint32(n + len(in)), IngressIfindex: inside},
	}
	ret, err := p.program.Run(&opts)
	if err != nil {
		tb.Fatalf("run %d bytes behind %d bytes of metadata: %v", len(in), n, err)
	}
	if len(opts.DataOut) < n || !bytes.Equal(opts.DataOut[:n], bytes.Repeat([]byte{0x5a}, n)) {
		tb.Fatalf("the metadata came out changed: % x", opts.DataOut)
	}
	return verdict(ret), opts.DataOut[n:]
}

// needsKernel skips a test on kernels older than that, which lack what is named.
func needsKernel(t *testing.T, major, minor int, what string) {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	if a < major || a == major && b < minor {
		t.Skipf("kernel %s: %s came with %d.%d", release, what, major, minor)
	}
}

// What is built before a packet or in its place has none of the bytes that were there.
func TestNoStaleBytesInAnswers(t *testing.T) {
	for _, f := range maps.Families() {
		for _, r := range answeredRows(f) {
			t.Run(r.name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				if r.before != nil {
					r.before(w)
				}
				before := w.counters(t)
				v, out := w.runOnStaleBytes(t, r.in, staleBytes)
				r.judge(t, v, out, w.counters(t).since(before))
			})
		}
	}
}
