package datapath

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/explain"
	"github.com/ebbtide/ebbtide/maps"
)

// explainPackets are those of one affinity, each of a random client: ten thousand of all three.
const explainPackets = 3_400

// What explain says of a packet is what the live program then does with it: for random clients of each family, protocol and
// mode, pinned or not, with and without testers, shares and sessions, whose flows and sessions end, age, are evicted and
// lose their backends; and for what it says beforehand of the time after a flip. With one kind of fact hidden from it, it
// is wrong.
func TestExplainAgreesWithWhatPacketsThenDo(t *testing.T) {
	met, wrong := map[string]int{}, map[string]int{}
	for range 5 { // the rarest of it is met some ten times in one round, and never in some
		for name, affinity := range map[string]maps.Affinity{
			"flow": maps.AffinityFlow, "client": maps.AffinityClient, "client-pool": maps.AffinityClientPool,
		} {
			t.Run(name, func(t *testing.T) {
				e := newExplained(t, affinity, met, wrong)
				for e.done < explainPackets {
					e.shake()
					e.limit(someFlows, 0)
					e.batch(200)
					e.limit(maps.NewFlows{}, 0) // which counts between what is said and what comes
					e.flipBatch(60)
				}
				t.Logf("seed %d: %d packets", e.seed, e.done)
			})
		}
		if t.Failed() || len(unseen(met, wrong)) == 0 {
			break
		}
	}
	t.Logf("met: %v; wrong without: %v", met, wrong)
	for _, what := range unseen(met, wrong) {
		t.Error(what)
	}
}

// unseen is what the packets so far have not shown.
func unseen(met, wrong map[string]int) (out []string) {
	for _, what := range []string{
		"forward by pin", "forward", "drop_martian", "drop_listener_closed", "drop_unresolved", "event_reset_backend",
		"event_reset_client", "event_busy", "drop_new_flows", "pass_not_ours",
	} {
		if met[what] == 0 {
			out = append(out, "no packet met "+what)
		}
	}
	for _, what := range []string{"testers", "shares", "orphans", "pins", "losses", "sessions", "caps", "retired", "closings", "limits"} {
		if wrong[what] == 0 {
			out = append(out, "explain agrees although it does not see the "+what)
		}
	}
	return out
}

// someFlows are used up by some prefixes: all clients of IPv6 are in one.
var someFlows = maps.NewFlows{Rate: 30, Burst: 70, Bits: [2]uint8{29, 64}}

// explained is a world whose packets are explained before they are sent.
type explained struct {
	*world
	*rand.Rand
	seed         uint64
	kernel       explain.Kernel
	blind        map[string]explain.Kernel
	wrong        map[string]int // answers that were, of those who do not see everything
	met          map[string]int
	done, shakes int
	live         uint16 // of the game
	reasons      map[string]maps.Reason
}

func newExplained(t *testing.T, affinity maps.Affinity, met, wrong map[string]int) *explained {
	seed := cmp.Or(*seed, uint64(time.Now().UnixNano()))
	w := mustWorld(t, options{flows: 10_000}, 9)
	e := &explained{world: w, Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed, met: met, wrong: wrong, live: blue, reasons: map[string]maps.Reason{}}
	w.SetLimit(maps.LimitedReset, math.MaxUint32)
	w.SetLimit(maps.LimitedBusy, math.MaxUint32)
	timeouts := standard
	timeouts[maps.Linger] = linger
	for f, id := range sessionVIPs {
		w.must(w.PutVIP(id, maps.VIP{Addr: [2]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[f], Protocol: maps.ProtocolSession}))
	}
	w.PutService(game, maps.Service{
		Name: "game", ReuseAfter: reuseAfter, Timeouts: timeouts, Affinity: affinity, LingerCap: lingerCap, SessionVIP: sessionVIPs, Salt: 0x5a17,
	})
	for _, f := range maps.Families() {
		prefix, err := gamePacket(f, 0).client(0).from.Addr().Prefix(gameVIP[f].BitLen() - 10)
		w.must(err)
		w.must(w.PutTester(maps.Tester{Service: game, Prefix: prefix}, maps.FromOperator))
	}
	e.kernel = &remembering{w.Tables, map[string][]uint16{}}
	e.blind = map[string]explain.Kernel{
		"testers": noTesters{e.kernel}, "shares": noShares{e.kernel}, "orphans": noOrphans{e.kernel}, "pins": noPins{e.kernel},
		"losses": noLosses{e.kernel}, "sessions": noSessions{e.kernel}, "caps": noCaps{e.kernel}, "retired": noRetired{e.kernel}, "closings": noClosings{e.kernel},
		"limits": noLimits{e.kernel},
	}
	for r := range bpf.ProgramReasonREASONS {
		name, err := maps.ReasonName(r)
		w.must(err)
		e.reasons[name] = r
	}
	return e
}

// remembering reads a Maglev table once: it is a dozen system calls.
type remembering struct {
	*maps.Tables
	tables map[string][]uint16
}

func (r *remembering) Maglev(generation uint16, f maps.Family) ([]uint16, error) {
	key := fmt.Sprint(generation, f)
	if _, there := r.tables[key]; !there {
		table, err := r.Tables.Maglev(generation, f)
		if err != nil {
			return nil, err
		}
		r.tables[key] = table
	}
	return r.tables[key], nil
}

// Kernels that do not show everything.
type (
	noTesters  struct{ explain.Kernel }
	noShares   struct{ explain.Kernel }
	noOrphans  struct{ explain.Kernel }
	noPins     struct{ explain.Kernel }
	noSessions struct{ explain.Kernel }
	noCaps     struct{ explain.Kernel }
	noLosses   struct{ explain.Kernel }
	noRetired  struct{ explain.Kernel }
	noClosings struct{ explain.Kernel }
	noLimits   struct{ explain.Kernel }
)

func (noTesters) Tester(uint16, netip.Addr) (netip.Prefix, bool, error) {
	return netip.Prefix{}, false, nil
}

func (k noShares) Steer(service uint16) maps.Steer {
	s := k.Kernel.Steer(service)
	s.Share = 0
	return s
}

func (k noOrphans) Steer(service uint16) maps.Steer {
	s := k.Kernel.Steer(service)
	s.Previous = 0
	return s
}

func (k noPins) Find(client netip.AddrPort, port, vip uint16) (maps.Flow, bool, error) {
	if client.Port() != 0 {
		return maps.Flow{}, false, nil
	}
	return k.Kernel.Find(client, port, vip)
}

func (k noSessions) Find(client netip.AddrPort, port, vip uint16) (maps.Flow, bool, error) {
	if client.Port() == 0 {
		return maps.Flow{}, false, nil
	}
	return k.Kernel.Find(client, port, vip)
}

func (k noClosings) Steer(service uint16) maps.Steer {
	s := k.Kernel.Steer(service)
	s.Busy = false
	return s
}

func (noCaps) FirstEnd(maps.Flow) uint32 { return 0 }

func (noRetired) Retired(maps.Family, uint16) uint32 { return 0 }

func (noLosses) Lost(maps.Family, uint16) bool { return false }

func (noLimits) NewFlowsLeft(uint16, netip.Addr, uint32) (uint32, error) { return 1, nil }

// host is a frozen clock.
var host = explain.Host{Tick: time.Second, Interface: func(ifindex uint32) string { return fmt.Sprint(ifindex) }}

// frame is a packet of a random client.
func (e *explained) frame() frame {
	f := maps.Families()[e.IntN(2)]
	kinds := []frame{
		gamePacket(f, syn), gamePacket(f, ack), gamePacket(f, fin|ack), gameDatagram(f), gameDatagram(f).toPort(gamePort2),
		shopPacket(f, syn), shopPacket(f, ack), shopDatagram(f), relayPacket(f, syn), relayDatagram(f), gamePacket(f, syn).toPort(9),
	}
	out := kinds[e.IntN(len(kinds))]
	if e.IntN(2) == 0 {
		out = kinds[e.IntN(4)]
	}
	clients := []int{30, 1 << 20}[e.IntN(2)] // half of them come again
	out = out.client(uint32(e.IntN(clients))).at(uint16(40000 + e.IntN(8)))
	if e.IntN(60) == 0 {
		sources := [2][]string{{"127.0.0.1", "224.0.0.1", "0.1.2.3", "255.255.255.255", gameVIP[0].String()}, {"::1", "::", "ff02::1", gameVIP[1].String()}}[f]
		out.from = netip.AddrPortFrom(netip.MustParseAddr(sources[e.IntN(len(sources))]), 40000)
	}
	out.seq = e.Uint32()
	return out
}

func (f frame) toPort(port uint16) frame {
	f.to = netip.AddrPortFrom(f.to.Addr(), port)
	return f
}

func asked(f frame) explain.Packet {
	return explain.Packet{Client: f.from, To: f.to, Protocol: maps.Protocol(f.proto), Midstream: f.proto == tcp && f.flags&(syn|ack) != syn}
}

func (e *explained) explain(k explain.Kernel, f frame) explain.Route {
	e.tb.Helper()
	r, err := explain.Explain(k, host, asked(f))
	e.must(err)
	return r
}

// batch explains each packet and sends it.
func (e *explained) batch(n int) {
	e.tb.Helper()
	for range n {
		f := e.frame()
		right := e.explain(e.kernel, f)
		blind := map[string]explain.Route{}
		for what, k := range e.blind {
			if e.IntN(2) == 0 {
				blind[what] = e.explain(k, f)
			}
		}
		e.send(f, right, blind)
	}
}

// flipBatch explains packets of clients, one each, as if the game were flipped; then flips it, and sends them.
func (e *explained) flipBatch(n int) {
	e.tb.Helper()
	to := blue + green - e.live
	steer := maps.Steer{Live: to, Previous: e.live, Draining: true}
	k := explain.IfFlipped(e.kernel, map[uint16]maps.Steer{game: steer}, 0)
	clients, frames, routes := map[netip.Addr]bool{}, []frame{}, []explain.Route{}
	for range n {
		f := e.frame()
		if a := f.from.Addr(); !clients[a] {
			clients[a] = true
			frames, routes = append(frames, f), append(routes, e.explain(k, f))
		}
	}
	e.SetFlipped(game, 0)
	e.SetSteer(game, steer)
	e.live = to
	for i, f := range frames {
		e.send(f, routes[i], nil)
	}
}

// send compares what was said of a packet with what becomes of it.
func (e *explained) send(f frame, right explain.Route, blind map[string]explain.Route) {
	e.tb.Helper()
	before := e.count(right.Reason)
	v, out := e.run(e.tb, f.bytes())
	e.done++
	seen := became(v, out)
	if right.Reason != "" && e.count(right.Reason) != before+1 {
		e.tb.Fatalf("seed %d, packet %d: %+v: %s was not counted\n%v", e.seed, e.done, f, right.Reason, right.Steps)
	}
	if said := says(right); said != seen {
		e.tb.Fatalf("seed %d, packet %d: %+v became %s, explain said %s\n%v", e.seed, e.done, f, seen, said, right.Steps)
	}
	for what, r := range blind {
		if says(r) != seen {
			e.wrong[what]++
		}
	}
	switch {
	case right.Reason != "":
		e.met[right.Reason]++
	case right.Pinned:
		e.met["forward by pin"]++
	default:
		e.met["forward"]++
	}
}

// count reads the count of a reason by its name; 0 for none.
func (e *explained) count(reason string) uint64 {
	e.tb.Helper()
	if reason == "" {
		return 0
	}
	n, err := e.Reason(e.reasons[reason])
	e.must(err)
	return n
}

// became is what is seen of a packet: to which backend it went, or that it came back.
func became(v verdict, out []byte) string {
	switch {
	case v == pass || v == drop:
		return v.String()
	case mac(out[:6]) == routerMAC:
		return "back to the client"
	}
	return fmt.Sprint("to backend ", backendOf(out))
}

func says(r explain.Route) string {
	switch {
	case r.Verdict == explain.Pass:
		return pass.String()
	case r.Verdict == explain.Drop:
		return drop.String()
	case r.Reason == "event_reset_client" || r.Verdict == explain.Busy:
		return "back to the client"
	}
	return fmt.Sprint("to backend ", r.Backend())
}

// shake changes the world: time, candidates, lost and unresolved backends, evicted sessions.
func (e *explained) shake() {
	e.tb.Helper()
	e.age(uint32(e.IntN(12)))
	e.ageBuckets(uint64(e.IntN(4)))
	e.mustSweep(e.tb)
	for _, f := range maps.Families() {
		e.ends(f)
		for _, generation := range []uint16{blue, green, shopBlue, relayBlue} {
			for i := range uint16(9) {
				e.SetHop(f, 10*generation+i+1, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(10*generation + i + 1)})
			}
			e.NoteBackend(f, 10*generation+uint16(e.IntN(9))+1, uint16(e.IntN(2)), maps.InPool, -uint32(e.IntN(3*lingerCap)))
			e.LoseBackend(f, 10*generation+uint16(e.IntN(5))+1)
			e.SetHop(f, 10*generation+uint16(e.IntN(4))+6, maps.Hop{})
		}
		kind := []maps.ListenerKind{maps.Open, maps.Closed}[e.IntN(2)]
		e.putListener(gameVIP[f], udp, gamePort2, maps.Listener{Service: game, ID: uint16(10*f) + gameUDP2, Kind: kind})
	}
	_, err := e.Evict(e.evicter, maps.Eviction{Service: game}, 40)
	e.must(err)
	other := blue + green - e.live
	e.SetSteer(game, []maps.Steer{
		{Live: e.live, Candidate: other, Share: uint16(e.IntN(5000))},
		{Live: e.live, Candidate: other, Share: uint16(e.IntN(5000)), Previous: other},
		{Live: e.live, Previous: other, Draining: true},
		{Live: e.live, Candidate: other, Previous: other, Busy: true},
	}[e.shakes%4])
	e.shakes++
}

// ends lets a flow of some sessions have ended some time ago, as the flip was.
func (e *explained) ends(f maps.Family) {
	e.tb.Helper()
	e.SetFlipped(game, -uint32(e.IntN(3*lingerCap)))
	cold := e.maps[[2]string{"cold4", "cold6"}[f]]
	for _, flow := range slices.Collect(e.Flows()) {
		if flow.Family != f || flow.Client.Port() != 0 || e.IntN(4) == 0 {
			continue
		}
		var c bpf.ProgramCold
		e.must(cold.Lookup(flow.Slot, &c))
		c.EndSeq = -uint32(1 + e.IntN(3*lingerCap))
		e.must(cold.Put(flow.Slot, c))
	}
}
