package datapath

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

var (
	packets = flag.Int("packets", 400_000, "how many packets the program and the model are given")
	seed    = flag.Uint64("seed", 0, "of the worlds and packets; 0: drawn from the clock, and printed")
)

// Bounds of a run.
const (
	worldPackets = 3000 // of one world
	lookEvery    = 32   // packets after which tables and counters are compared; verdicts and bytes always are
	patience     = 3    // worlds that may diverge before a run ends
)

// The program and a plain model agree on every packet: its verdict and its bytes, and on all pins and counters; in random
// worlds, whatever is flipped, reloaded, swept or broken meanwhile. `make soak` runs it for longer.
func TestTheProgramAgreesWithTheModel(t *testing.T) {
	r := newRun(t, *seed)
	for r.diverged < patience && r.done < *packets {
		if err := r.world(min(worldPackets, *packets-r.done)); err != nil {
			r.diverged++
			t.Error(err)
		}
	}
	t.Logf("seed %d: %d packets in %d worlds, %d divergences", r.seed, r.done, r.worlds, r.diverged)
	t.Log("met: ", r.met, ", rejoined ", r.rejoined)
	if r.done >= enough {
		r.checkReach(t)
	}
}

// enough packets meet everything that there is to meet.
const enough = 400_000

// unmet are the reasons that no packet has on one CPU and with sound maps.
var unmet = []string{"drop_stripe_busy", "drop_bad_map", "event_cas_lost", "event_publish_lost", "event_imported", "drop_headroom"}

// run is a sequence of worlds, all of them from one seed.
type run struct {
	tb             testing.TB
	seed           uint64
	sizes          []options
	planes         []*plane
	worlds         int
	done, diverged int
	met            moves // what the model counted
	rejoined       uint64
}

func newRun(tb testing.TB, seed uint64, sizes ...options) *run {
	tb.Helper()
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	if len(sizes) == 0 {
		sizes = allSizes
	}
	r := &run{tb: tb, seed: seed, sizes: sizes, met: moves{}}
	// What is limited is limited on each CPU by itself. The thread is never unlocked: it ends with the test.
	if err := onCPU(int(seed)%runtime.NumCPU(), func(int) error { return nil }); err != nil {
		tb.Fatal(err)
	}
	for _, o := range sizes {
		r.planes = append(r.planes, mustPlane(tb, o))
	}
	return r
}

// world plays the next world. One that diverges is played again, with a look after each packet.
func (r *run) world(size int) error {
	wrong := r.play(size, lookEvery)
	if wrong != nil {
		if exactly := r.play(size, 1); exactly != nil {
			wrong = exactly
		}
		wrong = fmt.Errorf("seed %d, world %d: %w", r.seed, r.worlds, wrong)
	}
	r.worlds++
	return wrong
}

// play gives a world's packets to the program and the model, and says what they disagree on.
func (r *run) play(size, look int) error {
	r.tb.Helper()
	n := r.worlds % len(r.sizes)
	s := mustScene(r.tb, r.planes[n], r.sizes[n], rand.New(rand.NewPCG(r.seed, uint64(r.worlds))))
	defer func() {
		r.met = r.met.and(s.m.Reasons)
		for _, c := range s.m.Generations {
			r.rejoined += c.Rejoined
		}
	}()
	for i := range size {
		if s.one(25) {
			s.change()
		}
		if s.one(300) {
			if err := s.sweepBoth(); err != nil {
				return fmt.Errorf("before packet %d: %w", i, err)
			}
		}
		r.done++
		in := s.packet()
		if err := s.step(in, i%look == 0 || i == size-1); err != nil {
			return fmt.Errorf("packet %d: %w\n%s", i, err, hex.Dump(in))
		}
	}
	return nil
}

// checkReach: a reason that no packet met is one that nobody compared.
func (r *run) checkReach(t *testing.T) {
	t.Helper()
	reasons, err := r.planes[0].Reasons()
	if err != nil {
		t.Fatal(err)
	}
	for reason := range reasons {
		if r.met[reason] == 0 && !slices.Contains(unmet, reason) {
			t.Errorf("no packet of the run met %s", reason)
		}
	}
	if r.rejoined == 0 {
		t.Error("no packet of the run rejoined a session")
	}
}

// step gives one packet to both.
func (s *scene) step(in []byte, look bool) error {
	want := s.m.Packet(inside, in)
	s.last = want
	got, out := s.run(s.tb, in)
	if at := want.AnyID; at != 0 && len(out) >= at+20 {
		copy(want.Out[at+4:at+6], out[at+4:])
		copy(want.Out[at+10:], []byte{0, 0})
		binary.BigEndian.PutUint16(want.Out[at+10:], model.Checksum(want.Out[at:at+20]))
	}
	switch {
	case got.String() != string(want.Verdict):
		return fmt.Errorf("verdict %v, the model says %v", got, want.Verdict)
	case want.Out != nil && !bytes.Equal(out, want.Out):
		return fmt.Errorf("came out as\n%sthe model says\n%sof", hex.Dump(out), hex.Dump(want.Out))
	case look:
		return s.look()
	}
	return nil
}

// look compares all pins and all counters.
func (s *scene) look() error {
	for _, f := range maps.Families() {
		for slot, want := range s.m.Slots(int(f)) {
			if err := s.lookAt(f, uint32(slot), want); err != nil {
				return err
			}
		}
	}
	return s.lookAtCounters()
}

func (s *scene) lookAt(f maps.Family, slot uint32, want model.Entry) error {
	meta := s.Meta(f, slot)
	if claims := meta.Tag(); f == maps.IPv6 && claims != want.Claims {
		return fmt.Errorf("slot %d was claimed %d times, the model says %d", slot, claims, want.Claims)
	}
	if want.State == "" && meta.State() == maps.Free {
		return nil
	}
	flow, there := s.Flow(f, slot)
	silence := int64(-flow.Seen & maps.TickMask)
	if silence > maps.TickMask/2 {
		silence -= maps.TickMask + 1
	}
	got := model.Entry{
		Key: model.Key{Client: flow.Client, Port: flow.Port, VIP: flow.VIP}, State: model.State(maps.StateName(flow.State)),
		Backend: flow.Backend, Fin: flow.Fin, Age: int64(flow.Age), Silence: silence,
	}
	got.End, got.LastHop, got.Claims = want.End, want.LastHop, want.Claims
	if there && s.m.VIPs[flow.VIP].Proto == model.Session {
		got.Ended, got.EndedFor = s.firstEnd(f, slot)
	}
	if !there || got != want {
		return fmt.Errorf("slot %d of %s holds %+v, the model says %+v", slot, familyName(f), flow, want)
	}
	return s.lookAtHop(f, slot, want.LastHop)
}

// lookAtHop: a pin whose hop is another one's is seen by late fragments only, which are rare.
func (s *scene) lookAtHop(f maps.Family, slot uint32, want model.Hop) error {
	var cold bpf.ProgramCold
	s.must(s.maps[coldName[f]].Lookup(slot, &cold))
	if cold.Mac != want.MAC {
		return fmt.Errorf("slot %d of %s goes back to %x, the model says %x", slot, familyName(f), cold.Mac, want.MAC)
	}
	return nil
}

func (s *scene) lookAtCounters() error {
	got, err := s.Reasons()
	if err != nil {
		return err
	}
	for reason, n := range got {
		if n != s.m.Reasons[reason] {
			return fmt.Errorf("%s counted %d, the model says %d", reason, n, s.m.Reasons[reason])
		}
	}
	counts := s.counts(s.tb)
	for generation := range uint16(sceneIndexes) {
		c, through := counts.Generation(generation)
		troubles, _, err := s.Troubles(generation)
		if err != nil {
			return err
		}
		want := model.Counters{}
		if n := s.m.Generations[generation]; n != nil {
			want = *n
		}
		if got := (model.Counters{Sent: model.Sent(through), Troubles: model.Troubles{NeverEstablished: troubles.NeverEstablished, Resets: troubles.Resets, SYNRetransmits: troubles.SYNRetransmits}, New: c.New, Orphans: c.Orphans, Reopened: c.Reopened, Unpinned: c.Unpinned, Moved: c.Moved, Rejoined: c.Rejoined}); got != want {
			return fmt.Errorf("generation %d counted %+v, the model says %+v", generation, got, want)
		}
	}
	for id, want := range s.m.Sent {
		if got, counted := counts.Backend(id); !counted || model.Sent(got) != *want {
			return fmt.Errorf("backend %d counted %+v (%t), the model says %+v", id, got, counted, *want)
		}
	}
	return nil
}

// sweepBoth sweeps the table and the model.
func (s *scene) sweepBoth() error {
	got, want := s.mustSweep(s.tb), s.m.Sweep()
	for f, u := range got.Tables {
		if u.Used != want.Used[f] || u.Freed != want.Freed[f] || u.Stash != want.Overflow[f] {
			return fmt.Errorf("the sweep of table %d found %+v, the model %+v", f, u, want)
		}
	}
	sessions := map[uint16]map[model.State]uint32{}
	for id, states := range got.Sessions {
		sessions[id] = map[model.State]uint32{}
		for state, n := range states {
			if n != 0 {
				sessions[id][model.State(maps.StateName(maps.FlowState(state)))] = n
			}
		}
	}
	for _, pair := range [][2]any{{sessions, want.Sessions}, {got.Flows, want.Flows}, {got.VIPs, want.VIPs}, {got.Listeners, want.Listeners}} {
		if fmt.Sprint(pair[0]) != fmt.Sprint(pair[1]) {
			return fmt.Errorf("the sweep counts %v, the model %v", pair[0], pair[1])
		}
	}
	return s.look()
}
