package e2e

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
	"github.com/ebbtide/ebbtide/test/storm"
)

// kindOfFlood is a flood of one kind, from senders that look random: as many packets as this machine can make.
type kindOfFlood struct {
	name string
	pair func(from, to netip.Addr) [2]storm.Template
	// moves are the reasons that have to be counted, or it has not come to where it does harm.
	moves []string
	// pins says that its packets take places in the table.
	pins bool
}

var kindsOfFlood = []kindOfFlood{
	{"SYN", segments(syn, syn), []string{"event_replaced_half_open"}, true},
	{"SYN and ACK", segments(syn, ack), []string{"event_replaced_young"}, true},
	{"stray ACK", segments(ack, ack), []string{"event_replaced_young"}, true},
	{"UDP", datagrams, []string{"event_replaced_young"}, true},
	{"fragments", fragments, []string{"event_fragment", "event_replaced_half_open"}, true},
	{"ICMP", messages, []string{"event_echo", "drop_echo", "drop_icmp_no_flow"}, false},
}

// One thousand sessions play on through floods of each kind, and none of them is touched: no pin changes, no answer is
// missing. The floods end behind the load balancer, since no kernel stack here could bear them.
func TestAThousandSessionsPlayOnInEveryFlood(t *testing.T) {
	w := mustStorm(t, setting{}, 250)
	w.fleet.Add(t.Context(), 250, unhurried(w.endpoints))
	before := w.established(t, 1000)
	for _, kind := range kindsOfFlood {
		moved := w.reasons(t)
		for _, e := range []netip.Addr{lab.VIP4, lab.VIP6} {
			w.rage(t, kind, e, 1<<18)
		}
		w.fleet.Exchange(1)
		w.mustNotBreak(t)
		if n := w.changed(before); n != 0 {
			t.Errorf("%s: %d of %d pins changed", kind.name, n, len(before))
		}
		after := w.reasons(t)
		for _, reason := range kind.moves {
			if after[reason] == moved[reason] {
				t.Errorf("%s: %s did not move: the flood has not come to where it does harm", kind.name, reason)
			}
		}
	}
	w.flip(t)
	w.fleet.Exchange(1)
	w.mustBeWhole(t)
	w.mustPlayOn(t, map[string]int{"blue": 1000})
}

// That an established flow makes no room for another is what carries it through: without that rule each flood that takes
// places takes theirs.
func TestWithoutKeepingEstablishedFlowsEachFloodTakesTheirPins(t *testing.T) {
	w := mustStorm(t, setting{leaveOut: bpftest.ProgramRuleRULE_KEEP}, 25)
	w.fleet.Add(t.Context(), 25, unhurried(w.endpoints))
	for _, kind := range kindsOfFlood {
		if !kind.pins {
			continue
		}
		before := w.established(t, 100)
		w.quieten()
		w.rage(t, kind, lab.VIP4, 1<<15)
		if n := w.changed(before); n == 0 {
			t.Errorf("%s: no pin changed: it could not have been seen in the other test", kind.name)
		}
	}
}

// unhurried is of players whom a thousand sessions leave the machine time for a flood beside.
func unhurried(endpoints []game.Endpoint) game.Role {
	return game.Role{Endpoints: endpoints, ChatTick: 500 * time.Millisecond, StateTick: 500 * time.Millisecond}
}

// weather is a stage in which storms rage.
type weather struct {
	*stage
	tab   table
	flood *storm.Storm
	index int // of the router's interface towards the load balancer
}

func mustStorm(t *testing.T, set setting, players int) *weather {
	t.Helper()
	set.arms, set.vips = lab.TwoArms, []netip.Addr{lab.VIP4, lab.VIP6}
	set.maxFlows, set.timeouts = max(small, 16*players), calm
	w := &weather{stage: mustStage(t, set)}
	w.tab = w.table(t)
	var err error
	if w.flood, err = storm.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.flood.Close() })
	if err = w.lab.Absorb(w.flood.Absorber()); err != nil {
		t.Fatal(err)
	}
	if w.index, err = w.lab.Router.Index("front"); err != nil {
		t.Fatal(err)
	}
	return w
}

// rage lets so many packets of a kind come, as fast as they can.
func (w *weather) rage(t *testing.T, kind kindOfFlood, vip netip.Addr, packets int) {
	t.Helper()
	from := storm.Net4.Addr()
	if vip.Is6() {
		from = storm.Net6.Addr()
	}
	pair := kind.pair(from, vip)
	dst, src := mustMAC(t, w.lab.LB, "eth0"), mustMAC(t, w.lab.Router, "front")
	for i := range pair {
		copy(pair[i].Frame, append(dst[:], src[:]...))
	}
	if err := w.flood.Set(pair); err != nil {
		t.Fatal(err)
	}
	before, err := w.flood.Absorbed()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := w.lab.Router.Do(func() error { return w.flood.Flood(w.index, packets) }); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	after, err := w.flood.Absorbed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s to %s: %d packets, %.2f million a second, of which %d came out behind", kind.name, vip, packets,
		float64(packets)/took.Seconds()/1e6, after-before)
}

// pin is what fixes a session to its backend.
type pin struct {
	slot    uint32
	backend uint16
	state   maps.FlowState
}

type pinned struct {
	client netip.AddrPort
	vip    uint16
}

// established makes every session established, as ten seconds of its traffic would, and lists their pins.
func (w *weather) established(t *testing.T, want int) map[pinned]pin {
	t.Helper()
	var pins map[pinned]pin
	eventually(t, "all sessions to be established", func() bool {
		w.tab.establish(t)
		pins = w.pins()
		n := 0
		for _, p := range pins {
			if p.state == maps.Established {
				n++
			}
		}
		return n == want
	})
	return pins
}

// pins are those of the players.
func (w *weather) pins() map[pinned]pin {
	out := map[pinned]pin{}
	for f := range w.tab.plane.Tables.Flows() {
		if a := f.Client.Addr(); !storm.Net4.Contains(a) && !storm.Net6.Contains(a) {
			out[pinned{f.Client, f.VIP}] = pin{f.Slot, f.Backend, f.State}
		}
	}
	return out
}

// quieten makes every entry look as if its last packet had come five seconds ago: longer than any of the flood's.
func (w *weather) quieten() {
	for f := range w.tab.plane.Tables.Flows() {
		old := w.tab.plane.Tables.Meta(f.Family, f.Slot)
		w.tab.plane.Tables.SwapMeta(f.Family, f.Slot, old, old.WithSeen(f.Seen-5)) // lost: it has just been heard
	}
}

// changed counts the pins that are no longer what they were.
func (w *weather) changed(before map[pinned]pin) (n int) {
	after := w.pins()
	for who, was := range before {
		if after[who] != was {
			n++
		}
	}
	return n
}

const (
	ethernet = 14
	ipv4     = 20
	ipv6     = 40
)

// packet is one of a flood: its MAC addresses are to come, its checksums are nobody's concern.
func packet(from, to netip.Addr, proto uint8, body []byte) []byte {
	b := make([]byte, ethernet)
	if from.Is4() {
		b[12] = 0x08
		b = binary.BigEndian.AppendUint16(append(b, 0x45, 0), uint16(ipv4+len(body)))
		b = append(b, 0, 0, 0, 0, 64, proto, 0, 0)
	} else {
		b[12], b[13] = 0x86, 0xdd
		b = binary.BigEndian.AppendUint16(append(b, 0x60, 0, 0, 0), uint16(len(body)))
		b = append(b, proto, 64)
	}
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	return append(b, body...)
}

// template is a packet whose sender's address is to be written, and something in what follows the IP header.
func template(from, to netip.Addr, proto uint8, body []byte, port int) storm.Template {
	t := storm.Template{Frame: packet(from, to, proto, body), Addr: ethernet + 12, Port: ethernet + ipv4 + port}
	if from.Is6() {
		t.Addr, t.Port = ethernet+20, ethernet+ipv6+port
	}
	return t
}

func transportOf(proto, flags uint8, from, to netip.Addr) []byte {
	f := frame{from: netip.AddrPortFrom(from, 1), to: netip.AddrPortFrom(to, port), proto: proto, flags: flags, payload: []byte("x")}
	return f.transport()
}

func segments(flags ...uint8) func(from, to netip.Addr) [2]storm.Template {
	return func(from, to netip.Addr) (pair [2]storm.Template) {
		for i, f := range flags {
			pair[i] = template(from, to, tcp, transportOf(tcp, f, from, to), 0)
		}
		return pair
	}
}

// datagrams are two of each sender: as far as anybody can tell he goes on.
func datagrams(from, to netip.Addr) [2]storm.Template {
	one := template(from, to, udp, transportOf(udp, 0, from, to), 0)
	return [2]storm.Template{one, one}
}

// fragments are the first and the last of a datagram.
func fragments(from, to netip.Addr) (pair [2]storm.Template) {
	for i, where := range []uint16{1, 8} { // more are to come; eight bytes on, none are
		body := transportOf(udp, 0, from, to)
		binary.BigEndian.PutUint16(body[4:], 16)
		if from.Is4() {
			pair[i] = template(from, to, udp, body, 0)
			binary.BigEndian.PutUint16(pair[i].Frame[ethernet+6:], []uint16{0x2000, 1}[i])
			pair[i].ID = ethernet + 4
		} else {
			header := []byte{udp, 0, byte(where >> 8), byte(where), 0, 0, 0, 0}
			pair[i] = template(from, to, 44, append(header, body...), 8)
			pair[i].ID = ethernet + ipv6 + 6
		}
		if i == 1 {
			pair[i].Port = 0
		}
	}
	return pair
}

// messages are an echo request, and an error about a packet that the VIP could have sent.
func messages(from, to netip.Addr) [2]storm.Template {
	proto, echo, unreachable := uint8(1), byte(8), byte(3)
	if from.Is6() {
		proto, echo, unreachable = 58, 128, 1
	}
	about := packet(to, from, udp, transportOf(udp, 0, to, from))[ethernet:]
	binary.BigEndian.PutUint16(about[len(about)-9:], port)
	header := []byte{unreachable, 1, 0, 0, 0, 0, 0, 0}
	ask := template(from, to, proto, []byte{echo, 0, 0, 0, 0, 0, 0, 0, 'h', 'i'}, 4)
	say := template(from, to, proto, append(header, about...), len(header)+len(about)-7)
	return [2]storm.Template{ask, say}
}
