package control

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/metrics"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// wire sends frames through a plane's program and counts what comes out, by the backend whose MAC it has.
type wire struct {
	tb      testing.TB
	program *ebpf.Program
	packets map[uint16]uint64
	bytes   map[uint16]uint64
}

var wireMAC = [6]byte{2, 0, 0, 0, 0, 1}

// newWire gives each backend of a controller's plane a next hop on the interface that frames come in by.
func newWire(tb testing.TB, c *Controller, dir string) *wire {
	tb.Helper()
	program, err := ebpf.LoadPinnedProgram(filepath.Join(dir, "plane", "programs", "ebbtide"), nil)
	must(tb, err)
	tb.Cleanup(func() { must(tb, program.Close()) })
	must(tb, c.plane.Tables.SetIface(1, kernel.Iface{MAC: wireMAC})) // the one of BPF_PROG_TEST_RUN
	for id := range c.image.Backends {
		c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{IfIndex: 1, SrcMAC: wireMAC, DstMAC: [6]byte{2, 0, 0, 0xb, byte(id >> 8), byte(id)}})
	}
	return &wire{tb: tb, program: program, packets: map[uint16]uint64{}, bytes: map[uint16]uint64{}}
}

// send sends a packet, and says which backend it came out for: 0 for none.
func (w *wire) send(frame []byte) uint16 {
	w.tb.Helper()
	opts := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+64)}
	verdict, err := w.program.Run(&opts)
	must(w.tb, err)
	if verdict != 3 { // XDP_TX
		return 0
	}
	id := binary.BigEndian.Uint16(opts.DataOut[4:])
	w.packets[id]++
	w.bytes[id] += uint64(len(opts.DataOut))
	return id
}

// datagram is a frame with a UDP packet in it, segment one with a TCP packet. The program reads no checksum.
func datagram(from, to netip.AddrPort, payload int) []byte {
	return packetOf(17, from, to, binary.BigEndian.AppendUint16(nil, uint16(8+payload)), 8+payload)
}

func segment(from, to netip.AddrPort, flags byte) []byte {
	return packetOf(6, from, to, []byte{0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, flags}, 20)
}

func packetOf(proto byte, from, to netip.AddrPort, header []byte, length int) []byte {
	out := append(append(append([]byte{}, wireMAC[:]...), 2, 0, 0, 0, 0, 0xaa), 8, 0)
	out = append(out, 0x45, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(20+length))
	out = append(out, 0, 0, 0, 0, 64, proto, 0, 0)
	out = append(append(out, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	out = binary.BigEndian.AppendUint16(out, from.Port())
	out = binary.BigEndian.AppendUint16(out, to.Port())
	return append(append(out, header...), make([]byte, length-4-len(header))...)
}

// scraped reads a page of metrics.
func scraped(tb testing.TB, source metrics.Source) map[string]float64 {
	tb.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(source).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	out := map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		at := strings.LastIndexByte(line, ' ')
		if n, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err == nil && line[0] != '#' {
			out[line[:at]] = n
		}
	}
	return out
}

// A scrape is held against the packets that were sent and those that came out.
func TestAScrapeSaysWhatPacketsDid(t *testing.T) {
	dir := t.TempDir()
	c := newUnattachedIn(t, dir, manyServices(1, 2))
	w := newWire(t, c, dir)
	vip := netip.MustParseAddrPort("203.0.0.0:7777")
	player := func(last byte, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, last}), port)
	}
	const syn, ack = 2, 16
	play := func() {
		for port := range uint16(20) {
			w.send(datagram(player(7, 4000+port), vip, 10*int(port)))
		}
	}
	play()
	play()
	for port := range uint16(5) {
		w.send(segment(player(8, 4000+port), vip, syn))
	}
	for port := range uint16(3) {
		w.send(segment(player(9, 4000+port), vip, ack))
	}
	_, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
	must(t, err)
	marked, err := c.plane.Evict(kernel.Eviction{Service: 1, Client: netip.MustParsePrefix("198.51.100.7/32")}, 6)
	must(t, err)
	play() // six of them by the other colour
	cut := datagram(player(7, 1), vip, 10)
	strange := datagram(player(7, 1), netip.MustParseAddrPort("192.0.2.1:7777"), 10)
	for _, nowhere := range [][]byte{cut[:len(cut)-1], datagram(netip.MustParseAddrPort("127.0.0.1:1"), vip, 10), strange} {
		if id := w.send(nowhere); id != 0 {
			t.Errorf("a packet for nobody went to backend %d", id)
		}
	}
	c.last, err = c.pass()
	must(t, err)

	page := scraped(t, c)
	want := map[string]float64{
		`ebbtide_new_sessions_total{%s}`:                               25,
		`ebbtide_orphans_total{%s}`:                                    3,
		`ebbtide_moved_total{%s}`:                                      float64(marked),
		`ebbtide_rejoined_total{%s}`:                                   0,
		`ebbtide_unpinned_total{%s}`:                                   0,
		`ebbtide_new_sessions_after_flip{generation="1",service="s0"}`: 0,
		`ebbtide_table_used_slots{family="ipv4"}`:                      28,
		`ebbtide_table_overflow_used_slots{family="ipv4"}`:             0,
		`ebbtide_table_longest_probe_lines{family="ipv4"}`:             1,
		`ebbtide_drops_total{reason="malformed"}`:                      1,
		`ebbtide_drops_total{reason="martian"}`:                        1,
		`ebbtide_passes_total{reason="not_ours"}`:                      1,
	}
	sum := map[uint16][2]float64{}
	for id, n := range w.packets {
		b := c.image.Backends[id]
		labels := fmt.Sprintf(`{backend=%q,generation="%d",service="s0"}`, b.Addrs[kernel.IPv4], b.Generation)
		want["ebbtide_backend_packets_total"+labels], want["ebbtide_backend_bytes_total"+labels] = float64(n), float64(w.bytes[id])
		s := sum[b.Generation]
		sum[b.Generation] = [2]float64{s[0] + float64(n), s[1] + float64(w.bytes[id])}
	}
	for g, labels := range map[uint16]string{1: blueLabels, 2: greenLabels} {
		want["ebbtide_packets_total{"+labels+"}"], want["ebbtide_bytes_total{"+labels+"}"] = sum[g][0], sum[g][1]
	}
	if len(sum) != 2 || marked != 6 {
		t.Fatalf("%d sessions were marked, packets went to %v: this has not tested", marked, sum)
	}
	for name, n := range want {
		name = strings.ReplaceAll(name, "%s", blueLabels)
		if got, there := page[name]; !there || got != n {
			t.Errorf("%s is %v (there: %t), want %v", name, got, there, n)
		}
	}
	if page["ebbtide_sweep_seconds"] <= 0 {
		t.Error("the sweep took no time")
	}
}

// The labels of the two generations of the first service.
const (
	blueLabels  = `colour="blue",generation="1",service="s0"`
	greenLabels = `colour="green",generation="2",service="s0"`
)

// A backend that leaves takes its series along, and its generation's counts stay.
func TestTheCountsOfAGenerationOutliveItsBackends(t *testing.T) {
	dir := t.TempDir()
	c := newUnattachedIn(t, dir, manyServices(1, 2))
	w := newWire(t, c, dir)
	for port := range uint16(40) {
		w.send(datagram(netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), 4000+port), netip.MustParseAddrPort("203.0.0.0:7777"), 10))
	}
	if len(w.packets) != 2 {
		t.Fatalf("all packets went to one of two backends: %v", w.packets)
	}
	before := scraped(t, c)
	next := c.image.Clone()
	var gone uint16
	for id := range w.packets {
		gone = id
	}
	b := next.Backends[gone]
	b.Use = kernel.Removed
	next.Backends[gone] = b
	must(t, c.write(next))
	collected, _ := next.Collect(kernel.Sweep{}) // as if its sessions had ended
	must(t, c.write(collected))
	after := scraped(t, c)
	for _, what := range []string{"packets", "bytes"} {
		name := "ebbtide_" + what + "_total{" + blueLabels + "}"
		if after[name] != before[name] || before[name] == 0 {
			t.Errorf("%s went from %v to %v", name, before[name], after[name])
		}
	}
	left := 0
	for name := range after {
		if strings.HasPrefix(name, "ebbtide_backend_packets_total{") && strings.Contains(name, `generation="1"`) {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d backends have series, want the one that is left", left)
	}
}
