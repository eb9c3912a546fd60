package datapath

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/packet"
	"github.com/ebbtide/ebbtide/loader/trace"
	"github.com/ebbtide/ebbtide/maps"
)

var everybody = [2]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// mustTrace loads the tracer for a plane; the test has to run it.
func mustTrace(t testing.TB, p *plane, opt trace.Options) *trace.Trace {
	t.Helper()
	opt.For = time.Hour
	if opt.Rate == 0 {
		opt.Rate = 1 << 20
	}
	tr, err := trace.Load(mustSpec(t, options{}), p.maps, opt)
	if err != nil {
		t.Fatal(needs(err))
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// runs puts the tracer in the program's place for the rest of the test.
func (p *plane) runs(t *testing.T, tr *trace.Trace) {
	program := p.program
	p.program = tr.Program()
	t.Cleanup(func() { p.program = program })
}

// tracers are loaded once a plane and family: the verifier takes its time.
type tracers map[string]*trace.Trace

func (all tracers) of(t *testing.T, p *plane, f maps.Family) *trace.Trace {
	t.Helper()
	key := fmt.Sprintf("%p %d", p, f)
	if all[key] == nil {
		all[key] = mustTrace(t, p, trace.Options{Client: everybody[f]})
	}
	return all[key]
}

// Every packet that another test judges, through the tracer: the same becomes of it, and the trace says just that.
func TestATraceSaysWhatBecameOfEachPacket(t *testing.T) {
	all := tracers{}
	met := map[string]int{}
	for _, r := range slices.Concat(dsrRows(), natRows(), dropRows(), passRows(), noFlowRows()) {
		head, isIP := packet.Parse(r.in)
		if r.out == nil {
			r.out = r.in
		}
		t.Run(r.name, func(sub *testing.T) {
			w := mustWorld(sub, options{flows: cmp.Or(r.flows, 1000)}, 1)
			tr := all.of(t, w.plane, familyOf(head.From.Addr()))
			w.runs(sub, tr)
			if r.before != nil {
				r.before(w)
			}
			mustDrain(sub, tr)
			before := w.counters(sub)
			got, out := w.run(sub, r.in)
			moved := w.counters(sub).since(before)
			r.judge(sub, got, out, moved)
			events := mustDrain(sub, tr)
			if !isIP {
				if len(events) != 0 {
					sub.Errorf("a trace of what is not IP: %+v", events)
				}
				return
			}
			if len(events) != 1 {
				sub.Fatalf("%d events of one packet: %+v", len(events), events)
			}
			mustSay(sub, events[0], r, got, out, moved)
			met[got.String()]++
		})
	}
	for _, v := range []verdict{drop, pass, tx, redirect} {
		if met[v.String()] == 0 {
			t.Errorf("no packet met %v", v)
		}
	}
}

func mustSay(t *testing.T, e trace.Event, r row, got verdict, out []byte, moved moves) {
	t.Helper()
	if verdict(e.Verdict) != got || e.IfIndex != inside {
		t.Errorf("verdict %v at interface %d, want %v at %d", e.Verdict, e.IfIndex, got, inside)
	}
	for name, frame := range map[string]struct {
		has   trace.Frame
		bytes []byte
	}{"in": {e.In, r.in}, "out": {e.Out, out}} {
		if int(frame.has.Len) != len(frame.bytes) || !bytes.Equal(frame.has.Bytes, frame.bytes[:min(len(frame.bytes), trace.Snap)]) {
			t.Errorf("%s: %d bytes\n%swant %d\n%s", name, frame.has.Len, hex.Dump(frame.has.Bytes), len(frame.bytes), hex.Dump(frame.bytes))
		}
	}
	want := []string{}
	for name := range moved {
		if !strings.Contains(name, ".") {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if have := namesOf(t, e.Reasons); !slices.Equal(have, want) {
		t.Errorf("reasons %v, want %v", have, want)
	}
	if got == tx || got == redirect {
		mustNameBackend(t, e)
	}
}

// mustNameBackend checks it by what came in and went out.
func mustNameBackend(t *testing.T, e trace.Event) {
	t.Helper()
	in, _ := packet.Parse(e.In.Bytes)
	out, _ := packet.Parse(e.Out.Bytes)
	id, f := e.Backend(), familyOf(in.From.Addr())
	if out.Target != [6]byte(backendMAC(id)) && in.From.Addr() != backendAddr(f, id) {
		t.Errorf("backend %d: it went from %v to %v, to MAC %x", id, in.From, out.To, out.Target)
	}
}

func namesOf(t *testing.T, reasons []maps.Reason) []string {
	t.Helper()
	out := []string{}
	for _, r := range reasons {
		name, err := maps.ReasonName(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// mustDrain takes what is in the ring.
func mustDrain(t testing.TB, tr *trace.Trace) []trace.Event {
	t.Helper()
	var out []trace.Event
	for {
		e, err := tr.Poll()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		e.In.Bytes, e.Out.Bytes = slices.Clone(e.In.Bytes), slices.Clone(e.Out.Bytes)
		out = append(out, e)
	}
}

func familyOf(a netip.Addr) maps.Family {
	if a.Is4() {
		return maps.IPv4
	}
	return maps.IPv6
}

// The pin that a packet found, and the listener's service: a plain hit in its first line, a flow under way, and none.
func TestATraceNamesPinAndService(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			tr := mustTrace(t, w.plane, trace.Options{Client: everybody[f]})
			w.runs(t, tr)
			answer := shopPacket(f, ack).answer(31, shopInner, ack)
			w.send(shopPacket(f, syn), answer, shopPacket(f, ack), answer, shopPacket(f, ack), gameDatagram(f), gameDatagram(f))
			w.send(toVIP(relayVIP[f], udp, gamePort, 0))
			type found struct {
				state   string
				service uint16
				backend uint16
			}
			want := []found{
				{"free", shop, 31}, {"half-open", 0, 31}, {"half-open", shop, 31}, {"young", 0, 31}, {"established", shop, 31},
				{"free", game, 11}, {"half-open", game, 11}, {"free", relay, 51},
			}
			var got []found
			for _, e := range mustDrain(t, tr) {
				got = append(got, found{maps.StateName(e.Pin.State()), e.Service, e.Backend()})
			}
			if !slices.Equal(got, want) {
				t.Errorf("found\n%v, want\n%v", got, want)
			}
		})
	}
}

// Only packets from or to the client are traced, at most so many, and what is left out is counted.
func TestATraceIsBounded(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 1)
	client := trace.Options{Client: netip.PrefixFrom(client4, 32)}
	from := func(addr string) frame {
		return gameDatagram(maps.IPv4).change(func(f *frame) { f.from = netip.AddrPortFrom(netip.MustParseAddr(addr), 40000) })
	}
	for _, row := range []struct {
		name string
		opt  trace.Options
		in   []frame
		want trace.Counts // but for what is left to chance
		some func(c trace.Counts, events int) bool
	}{
		{"others", client, []frame{from("198.51.100.6"), from("198.51.100.7"), gameDatagram(maps.IPv6)}, trace.Counts{Matched: 1},
			func(_ trace.Counts, events int) bool { return events == 1 }},
		{"a prefix", trace.Options{Client: netip.MustParsePrefix("198.51.100.0/29")}, []frame{from("198.51.100.7"), from("198.51.100.8")},
			trace.Counts{Matched: 1}, func(_ trace.Counts, events int) bool { return events == 1 }},
		{"a rate", trace.Options{Client: client.Client, Rate: 3}, slices.Repeat([]frame{from("198.51.100.7")}, 1000), trace.Counts{Matched: 1000},
			func(c trace.Counts, events int) bool {
				return events >= 3 && c.OverRate == uint64(1000-events) && c.OverRate > 0
			}},
		{"a sample", trace.Options{Client: client.Client, Sample: 10}, slices.Repeat([]frame{from("198.51.100.7")}, 1000), trace.Counts{Matched: 1000},
			func(c trace.Counts, events int) bool {
				return events > 0 && events < 500 && c.SampledOut == uint64(1000-events)
			}},
		{"a full ring", client, slices.Repeat([]frame{from("198.51.100.7")}, 2500), trace.Counts{Matched: 2500},
			func(c trace.Counts, events int) bool {
				return events > 1000 && c.Lost == uint64(2500-events) && c.Lost > 0
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			tr := mustTrace(t, w.plane, row.opt)
			w.runs(t, tr)
			for _, f := range row.in {
				w.run(t, f.bytes())
			}
			events := len(mustDrain(t, tr))
			c, err := tr.Counts()
			if err != nil || c.Matched != row.want.Matched || !row.some(c, events) {
				t.Errorf("%d events, %+v, %v", events, c, err)
			}
		})
	}
}

// The tracer is the program with something around it: it agrees with the model as the program does.
func TestTheTracerAgreesWithTheModelToo(t *testing.T) {
	r := newRun(t, *seed, allSizes[:2]...)
	for i, p := range r.planes {
		tr := mustTrace(t, p, trace.Options{Client: everybody[i%2]})
		p.runs(t, tr)
	}
	for r.diverged < patience && r.done < 2*worldPackets {
		if err := r.world(worldPackets); err != nil {
			r.diverged++
			t.Error(err)
		}
	}
	t.Logf("seed %d: %d packets in %d worlds, %d divergences", r.seed, r.done, r.worlds, r.diverged)
}
