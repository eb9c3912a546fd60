package control

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

func mustRefuse(tb testing.TB, err error, code api.Code, says string) {
	tb.Helper()
	if e := (*api.Error)(nil); !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, says) {
		tb.Errorf("got %v, want %s: %s", err, code, says)
	}
}

// mustAgree checks that what the controller holds is what the kernel and the state file have.
func (c *Controller) mustAgree(tb testing.TB) {
	tb.Helper()
	have, err := image.Read(c.plane.Tables)
	must(tb, err)
	if !reflect.DeepEqual(have.Testers, c.image.Testers) || have.Services[1] != c.image.Services[1] {
		tb.Errorf("the kernel has %v and %+v, the image %v and %+v", have.Testers, have.Services[1], c.image.Testers, c.image.Services[1])
	}
	saved, err := c.opt.Store.Load()
	must(tb, err)
	if !saved.Same(c.state) || !stateOf(c.image, c.state).Same(c.state) {
		tb.Errorf("the state file has %+v, the controller %+v", saved, c.state)
	}
}

func TestTestersAreInTheKernelAndInTheStateFile(t *testing.T) {
	yaml := manyServices(2, 2)
	c := newUnattached(t, strings.Replace(yaml, "    pools:", "    release: {testers: [192.0.2.0/24, 192.0.2.9]}\n    pools:", 1))
	must(t, c.save(c.image))
	ask := func(add, remove string) (api.Testers, error) {
		return c.Testers(t.Context(), api.TestersRequest{Service: "s0", Add: strings.Fields(add), Remove: strings.Fields(remove)})
	}
	got, err := ask("198.51.100.0/24 192.0.2.9", "")
	must(t, err)
	want := api.Testers{Service: "s0", Candidate: &api.GenerationRef{Number: 2, Colour: "green", Version: "v1"}, Testers: []api.Tester{
		{Prefix: "192.0.2.0/24", File: true}, {Prefix: "192.0.2.9/32", Operator: true, File: true}, {Prefix: "198.51.100.0/24", Operator: true},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	c.mustAgree(t)
	if p := c.state.Services["s0"].Testers; !slices.Equal(p, []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32"), netip.MustParsePrefix("198.51.100.0/24")}) {
		t.Errorf("of the operator are %v in the state file", p)
	}
	for _, row := range []struct {
		add, remove string
		code        api.Code
		says        string
	}{
		{"2001:db8::/32", "", api.Refused, "service s0: tester 2001:db8::/32: the service has no ipv6 listener"},
		{"192.0.2.77 2001:db8::/32", "", api.Refused, "no ipv6 listener"},
		{"", "198.51.100.0/24 198.51.100.0/25", api.NotFound, "service s0: 198.51.100.0/25 is no tester"},
		{"", "192.0.2.0/24", api.Refused, "is of the configuration file: take it out there and reload"},
	} {
		_, err := ask(row.add, row.remove)
		mustRefuse(t, err, row.code, row.says)
	}
	if again, err := ask("", ""); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("a refusal changed something: %+v, %v", again, err)
	}
	got, err = ask("", "198.51.100.0/24 192.0.2.9")
	must(t, err)
	if len(got.Testers) != 2 || got.Testers[1] != (api.Tester{Prefix: "192.0.2.9/32", File: true}) {
		t.Errorf("what the file names went with the operator's word: %+v", got.Testers)
	}
	c.mustAgree(t)
	_, err = c.Testers(t.Context(), api.TestersRequest{Service: "moon"})
	mustRefuse(t, err, api.NotFound, "service moon")
}

// counted makes a generation's counters say that it had so many new sessions.
func (c *Controller) counted(tb testing.TB, g uint16, n uint64) {
	tb.Helper()
	per := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	per[0].NewSessions = n
	must(tb, c.plane.Tables.Map("generation_counters").Put(uint32(g), per))
}

func TestAShareIsStoredAndMeasuredFromWhenItWasSet(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	must(t, c.save(c.image))
	five, none := uint16(500), uint16(0)
	_, err := c.Share(t.Context(), api.ShareRequest{Service: "s0", TenThousandths: &five})
	mustRefuse(t, err, api.Refused, "generation 2 (green, version v1) has no usable ipv4 backend")
	steer := c.image.Services[1].Steer
	c.counted(t, steer.Live, 1000)
	c.counted(t, steer.Candidate, 10)
	got, err := c.Share(t.Context(), api.ShareRequest{Service: "s0", TenThousandths: &five, Force: true})
	must(t, err)
	if got.TenThousandths != 500 || got.NewOnCandidate+got.NewOnLive != 0 || got.Realised != nil || got.Since == nil {
		t.Errorf("%+v", got)
	}
	if s := c.plane.Tables.Steer(1); s.Share != 500 || s.Candidate != steer.Candidate || s.Live != steer.Live {
		t.Errorf("the steer word is %+v", s)
	}
	c.mustAgree(t)
	_, err = c.Rollback(t.Context(), api.RollbackRequest{Service: "s0"})
	mustRefuse(t, err, api.Refused, "take its share of the clients back with ebbtide share s0 0%")
	c.counted(t, steer.Live, 1093)
	c.counted(t, steer.Candidate, 17)
	status, err := c.Status(t.Context())
	must(t, err)
	if k := status.Services[0].Canary; k == nil || k.NewOnCandidate != 7 || k.NewOnLive != 93 || *k.Realised != 7 || !k.Since.Equal(*got.Since) {
		t.Errorf("%+v", k)
	}
	if k := status.Services[1].Canary; k == nil || k.Since != nil || k.TenThousandths != 0 {
		t.Errorf("another service: %+v", k)
	}
	got, err = c.Share(t.Context(), api.ShareRequest{Service: "s0", TenThousandths: &none})
	must(t, err)
	if got.TenThousandths != 0 || got.NewOnLive != 0 || c.plane.Tables.Steer(1).Share != 0 {
		t.Errorf("%+v", got)
	}
	if _, err = c.Share(t.Context(), api.ShareRequest{Service: "s0", TenThousandths: &five, Force: true}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
	must(t, err)
	if s := c.plane.Tables.Steer(1); s.Share != 0 || s.Candidate != 0 || s.Live != steer.Candidate {
		t.Errorf("after the flip the steer word is %+v", s)
	}
	c.mustAgree(t)
	_, err = c.Share(t.Context(), api.ShareRequest{Service: "s0", TenThousandths: &five})
	mustRefuse(t, err, api.Refused, "there is no candidate")
}

// The writer retires a candidate before it takes it out of the steer word, and may be killed between the two.
func TestACandidateThatWasBeingRetiredIsNoCandidateAfterARestart(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	c.plane.Tables.SetSteer(1, kernel.Steer{Live: c.image.Services[1].Steer.Live, Candidate: c.image.Services[1].Steer.Candidate, Share: 77})
	rec := c.image.Generations[c.image.Services[1].Steer.Candidate]
	rec.Colour, rec.State = kernel.NoColour, kernel.Draining
	c.plane.Tables.PutGeneration(c.image.Services[1].Steer.Candidate, rec)
	var err error
	c.image, err = image.Read(c.plane.Tables)
	must(t, err)
	must(t, c.resume())
	if s := c.plane.Tables.Steer(1); s.Candidate != 0 || s.Share != 0 || s.Live == 0 {
		t.Errorf("%+v", s)
	}
	if s := c.plane.Tables.Steer(2); s.Candidate == 0 {
		t.Errorf("another service: %+v", s)
	}
}

// evict collects the progress of an eviction. After a batch, then may act for the clients.
func (c *Controller) evict(t *testing.T, req api.EvictRequest, then func(api.EvictProgress)) ([]api.EvictProgress, error) {
	req.EverySeconds = api.MinEvictEvery.Seconds()
	var all []api.EvictProgress
	err := c.Evict(t.Context(), req, func(p api.EvictProgress) error {
		all = append(all, p)
		if then != nil {
			then(p)
		}
		return nil
	})
	return all, err
}

func TestAnEvictionMarksInBatchesAndNoMoreThanThereWere(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	now, err := c.plane.Now()
	must(t, err)
	live := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	old := c.image.Services[1].Steer.Candidate // stands for a generation that drains
	there := c.image.BackendsOf(old)[0]
	mapstest.Fill4(t, c.plane.Tables, 4096, 300, func(i int) kernel.Meta {
		switch {
		case i < 100:
			return mapstest.Meta(kernel.Established, 1, live, now)
		case i < 110:
			return mapstest.Meta(kernel.Closing, 1, there, now)
		}
		return mapstest.Meta([]kernel.FlowState{kernel.Established, kernel.Young, kernel.HalfOpen}[i%3], 1, there, now)
	})
	client := func(req api.EvictRequest, prefix string) api.EvictRequest {
		req.Client = prefix
		return req
	}
	req := api.EvictRequest{Service: "s0", Generation: 2, Batch: 30}
	// Of clients 10.0.0.112 to .127, eight a batch.
	few := client(req, "10.0.0.112/28")
	few.Batch = 8
	got, err := c.evict(t, few, nil)
	must(t, err)
	if marks := marked(got); !slices.Equal(marks, []uint64{8, 16, 16}) || got[0].Found != 16 || !got[2].Done || got[2].Evicting != 16 {
		t.Errorf("a prefix: %+v", got)
	}
	got, err = c.evict(t, client(req, "2001:db8::/32"), nil)
	if err != nil || len(got) != 1 || got[0].Found != 0 || !got[0].Done {
		t.Errorf("nobody: %+v, %v", got, err)
	}
	// 174 are left; those who come meanwhile were not asked for.
	got, err = c.evict(t, req, func(p api.EvictProgress) {
		if p.Marked == 30 {
			c.mustRemark(t, 40, mapstest.Meta(kernel.Established, 1, there, now))
		}
	})
	must(t, err)
	if marks := marked(got); !slices.Equal(marks, []uint64{30, 60, 90, 120, 150, 174, 174}) || got[0].Found != 174 {
		t.Errorf("all: %+v", got)
	}
	if s := c.sessions(old); s.Evicting != 190 || s.Closing != 10 || s.Total != 240 {
		t.Errorf("left: %+v", s)
	}
	ctx, stop := context.WithCancel(t.Context())
	err = c.Evict(ctx, api.EvictRequest{Service: "s0", Generation: 2, Batch: 7, EverySeconds: 3600}, func(api.EvictProgress) error {
		stop()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a client that goes away: %v", err)
	}
	c.last, err = c.pass()
	must(t, err)
	if n := c.sessions(old).Evicting; n != 197 {
		t.Errorf("%d evicting after a client went away, want 197", n)
	}
}

func marked(all []api.EvictProgress) (out []uint64) {
	for _, p := range all {
		out = append(out, p.Marked)
	}
	return out
}

// mustRemark gives so many flows of the live generation another word, as if they were new ones of another backend.
func (c *Controller) mustRemark(t *testing.T, n int, to kernel.Meta) {
	t.Helper()
	for slot := range c.plane.Tables.SlotCount(kernel.IPv4) {
		m := c.plane.Tables.Meta(kernel.IPv4, slot)
		if n > 0 && m.State() == kernel.Established && m.Backend() != to.Backend() {
			if !c.plane.Tables.SwapMeta(kernel.IPv4, slot, m, to) {
				t.Fatal("a slot changed")
			}
			n--
		}
	}
	if n > 0 {
		t.Fatalf("%d too few", n)
	}
}

func TestAnEvictionThatWouldGetItsSessionsBackIsRefused(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	must(t, c.save(c.image))
	now, err := c.plane.Now()
	must(t, err)
	live := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	mapstest.Fill4(t, c.plane.Tables, 4096, 30, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, live, now) })
	req := api.EvictRequest{Service: "s0", Generation: 1, Batch: 10}
	_, err = c.evict(t, req, nil)
	mustRefuse(t, err, api.Refused, "generation 1 is live")
	_, err = c.evict(t, api.EvictRequest{Service: "s0", Generation: 9, Batch: 10}, nil)
	mustRefuse(t, err, api.NotFound, "there is no generation 9")
	five := uint16(500)
	_, err = c.Share(t.Context(), api.ShareRequest{Service: "s0", TenThousandths: &five, Force: true})
	must(t, err)
	_, err = c.evict(t, api.EvictRequest{Service: "s0", Generation: 2, Batch: 10}, nil)
	mustRefuse(t, err, api.Refused, "generation 2 has a share of the clients")
	// Live again in the middle of it.
	_, err = c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
	must(t, err)
	got, err := c.evict(t, req, func(api.EvictProgress) {
		_, err := c.Rollback(t.Context(), api.RollbackRequest{Service: "s0"})
		must(t, err)
	})
	mustRefuse(t, err, api.Refused, "generation 1 is live")
	if len(got) != 1 || got[0].Marked != 10 {
		t.Errorf("%+v", got)
	}
	req.Force = true
	if got, err = c.evict(t, req, nil); err != nil || got[len(got)-1].Marked != 20 {
		t.Errorf("forced: %+v, %v", got, err)
	}
}
