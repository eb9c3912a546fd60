package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	voice = port + 1
	// patient timeouts end nothing while a test lasts: it ages what shall end.
	patient = "{tcp: 1h, tcp_half_open: 10m, tcp_closing: 10m, udp: 1h, udp_new: 10m, reuse_after: 10m, linger: 10m, linger_cap: 30m}"
)

// patron is a client with an address of his own, and what he plays.
type patron struct {
	addr               netip.Addr
	login, game, voice game.Endpoint
	flows              []*game.Session
}

// club is a stage whose service has three listeners in each family, and so many clients of each.
type club struct {
	*stage
	tab     table
	patrons []*patron
	port    uint16 // of the last flow: each has its own, so that none is taken for another
}

func mustClub(t *testing.T, affinity string, clients int) *club {
	t.Helper()
	vips := []netip.Addr{lab.VIP4, lab.VIP6}
	set := setting{vips: vips, backends: []string{"blue1", "blue2", "green1", "green2"}, timeouts: patient, noWorld: true}
	set.yaml = func(l *lab.Lab) string {
		svc := set.service(service, port)
		svc.Affinity = affinity
		for _, vip := range vips {
			svc.Listeners = append(svc.Listeners, listener(vip, "udp", voice))
		}
		return host.YAML(l, set.forwarding, 65536, svc)
	}
	set.networks = []string{"tcp", "udp"}
	c := &club{stage: mustStage(t, set), port: 20000}
	for _, vip := range vips {
		c.endpoints = append(c.endpoints, game.UDP(vip, voice))
	}
	c.serve(t)
	c.tab = c.table(t)
	v4, v6, err := c.lab.ClientAddresses(clients)
	if err != nil {
		t.Fatal(err)
	}
	for f, addrs := range [][]netip.Addr{v4, v6} {
		for _, addr := range addrs {
			c.patrons = append(c.patrons, &patron{
				addr: addr, login: game.TCP(vips[f], port), game: game.UDP(vips[f], port), voice: game.UDP(vips[f], voice),
			})
		}
	}
	return c
}

// plays opens a flow of a client and has its first answers.
func (c *club) plays(t *testing.T, p *patron, at game.Endpoint) game.Report {
	t.Helper()
	c.port++
	flow, err := game.Open(t.Context(), c.lab.Client, netip.AddrPortFrom(p.addr, c.port), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(flow.Reset)
	p.flows = append(p.flows, flow)
	for range 2 {
		c.mustAsk(t, flow)
	}
	return flow.Report()
}

// leaves ends all flows of a client and waits until his session lingers, as so many do then.
func (c *club) leaves(t *testing.T, p *patron, lingering uint64) {
	t.Helper()
	for _, flow := range p.flows {
		flow.Logout()
	}
	eventually(t, p.addr.String()+" to linger", func() bool {
		for _, flow := range p.flows {
			c.tab.forget(t, flow.Report().Client) // again: the last ACK may be late
		}
		return c.tab.state(p.session()) == "closing"
	})
	eventually(t, "status to say so", func() bool { return c.generation(t, blue).Sessions.Lingering == lingering })
	c.mustBeFine(t, p)
	p.flows = nil
}

// mustBeFine checks what a client's flows have heard.
func (c *club) mustBeFine(t *testing.T, p *patron) {
	t.Helper()
	for _, flow := range p.flows {
		if r := flow.Report(); len(r.Broken) != 0 {
			t.Errorf("%s %s: %q", r.Network, r.Client, r.Broken)
		}
	}
}

// session is the entry of a client's session.
func (p *patron) session() netip.AddrPort { return netip.AddrPortFrom(p.addr, 0) }

// homes are the backends, or colours, that accepted a client, by their own logs.
func (c *club) homes(of func(game.Accept) string) map[netip.Addr][]string {
	out := map[netip.Addr][]string{}
	for _, a := range c.world.Log.All() {
		addr := a.Client.Addr().Unmap()
		if name := of(a); !slices.Contains(out[addr], name) {
			out[addr] = append(out[addr], name)
		}
	}
	return out
}

func (c *club) split(of func(game.Accept) string) (out []string) {
	for addr, homes := range c.homes(of) {
		if len(homes) > 1 {
			out = append(out, fmt.Sprint(addr, " is with ", homes))
		}
	}
	return out
}

func backendIn(a game.Accept) string { return a.Backend }
func colourIn(a game.Accept) string  { return a.Colour }

// acrossAFlip has every client log in and play before a flip, and speak after it.
func (c *club) acrossAFlip(t *testing.T) {
	t.Helper()
	for _, p := range c.patrons {
		c.plays(t, p, p.login)
		c.plays(t, p, p.game)
	}
	c.flip(t)
	for _, p := range c.patrons {
		c.plays(t, p, p.voice)
		c.plays(t, p, p.login)
		for _, flow := range p.flows {
			c.mustAsk(t, flow)
		}
		c.mustBeFine(t, p)
	}
}

// Login, game and voice of a client are on one backend through a flip. He comes back to it while his session lingers,
// counted apart, and to the new colour when he comes too late, or once the cap has passed. The drain says how many linger
// and ends.
func TestAClientKeepsHisBackendThroughAFlipAndTheDrainEnds(t *testing.T) {
	t.Parallel()
	c := mustClub(t, "client", 4)
	c.acrossAFlip(t)
	if split := c.split(backendIn); len(split) != 0 {
		t.Errorf("by the accept logs: %q", split)
	}
	if g := c.generation(t, blue); g.New != 8 || g.NewSinceFlip != 0 {
		t.Errorf("blue counts %d new sessions, %d of them since the flip, want 8 and 0", g.New, g.NewSinceFlip)
	}
	w := c.watchDrain(t)
	for i, p := range []*patron{c.patrons[0], c.patrons[4]} {
		home := p.flows[0].Report().Backend
		c.leaves(t, p, 1)
		if r := c.plays(t, p, p.game); r.Backend != home {
			t.Errorf("%s was on %s and came back to %s", p.addr, home, r.Backend)
		}
		if g := c.generation(t, blue); g.Rejoined != uint64(i+1) || g.NewSinceFlip != 0 {
			t.Errorf("blue counts %d rejoined, %d new since the flip, want %d and 0", g.Rejoined, g.NewSinceFlip, i+1)
		}
		c.leaves(t, p, 1)
		c.tab.quieten(t, p.session(), c.tab.plane.Ticks.Of(11*time.Minute))
		if r := c.plays(t, p, p.login); r.Colour != "green" {
			t.Errorf("%s came back after linger, to %s", p.addr, r.Backend)
		}
		p.flows = nil
	}
	for _, p := range []*patron{c.patrons[1], c.patrons[5]} {
		c.flowEnds(t, p, p.flows[1])
		if r := c.plays(t, p, p.game); r.Colour != "blue" {
			t.Errorf("%s is within the cap, and new on %s", p.addr, r.Backend)
		}
		c.passCap(t, p)
		if r := c.plays(t, p, p.game); r.Colour != "green" {
			t.Errorf("%s is beyond the cap, and new on %s", p.addr, r.Backend)
		}
		c.mustAsk(t, p.flows[0])
		c.mustBeFine(t, p)
	}
	w.mustWait(t)
	c.allLeave(t)
	w.mustEnd(t)
}

// flowEnds lets one flow of a client fall silent for good, and waits until a sweep has seen it.
func (c *club) flowEnds(t *testing.T, p *patron, flow *game.Session) {
	t.Helper()
	flow.Reset()
	client := flow.Report().Client
	eventually(t, client.String()+" to be over", func() bool {
		c.tab.forget(t, client)
		return c.tab.state(client) == ""
	})
}

// passCap lets the first end of a client's session, and the flip, have been longer ago than linger_cap.
func (c *club) passCap(t *testing.T, p *patron) {
	t.Helper()
	now, err := c.tab.plane.Now()
	if err != nil {
		t.Fatal(err)
	}
	then := now - c.tab.plane.Ticks.Of(31*time.Minute)
	f, ok := c.tab.flow(p.session())
	if !ok {
		t.Fatalf("%s has no session", p.addr)
	}
	m := c.tab.plane.Tables.Map([2]string{"cold4", "cold6"}[f.Family])
	var cold bpf.ProgramCold
	if err := m.Lookup(f.Slot, &cold); err != nil {
		t.Fatal(err)
	}
	if cold.EndSeq == 0 {
		t.Fatalf("%s: no end of a flow is noted", p.addr)
	}
	cold.EndSeq = then
	if err := m.Put(f.Slot, cold); err != nil {
		t.Fatal(err)
	}
	for index, svc := range c.tab.plane.Tables.Services() {
		if svc.Name == service {
			c.tab.plane.Tables.SetFlipped(index, then)
		}
	}
}

// allLeave lets everybody leave who is still there; the drain shows that they linger.
func (c *club) allLeave(t *testing.T) {
	t.Helper()
	var flows []netip.AddrPort
	for _, p := range c.patrons {
		for _, flow := range p.flows {
			flow.Logout()
			flows = append(flows, flow.Report().Client)
		}
		c.mustBeFine(t, p)
	}
	eventually(t, "all of blue to linger", func() bool {
		for _, client := range flows {
			c.tab.forget(t, client)
		}
		n := c.generation(t, blue).Sessions
		return n.Lingering == n.Total && n.Flows == 0
	})
	said := uint64(0)
	if err := c.host.Client.WatchDrain(t.Context(), api.DrainRequest{Service: service}, func(p api.DrainProgress) error {
		if said = max(said, p.Left.Lingering); said > 0 {
			for _, p := range c.patrons {
				c.tab.forget(t, p.session())
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if said != 4 {
		t.Errorf("the drain said that %d linger, want 4", said)
	}
}

// With `client: pool` a client is of one colour, on the backends that his flows' own hashes give.
func TestAClientKeepsHisColourThroughAFlip(t *testing.T) {
	t.Parallel()
	c := mustClub(t, "{client: pool}", 8)
	c.acrossAFlip(t)
	if split := c.split(colourIn); len(split) != 0 {
		t.Errorf("by the accept logs: %q", split)
	}
	if len(c.split(backendIn)) == 0 {
		t.Error("every client is on one backend: the hash of a flow does not count")
	}
}

// The tests above see what they claim to see: without affinity clients are split, over backends and colours.
func TestWithoutAffinityClientsAreSplit(t *testing.T) {
	t.Parallel()
	c := mustClub(t, "flow", 4)
	c.acrossAFlip(t)
	if len(c.split(backendIn)) == 0 || len(c.split(colourIn)) != 8 {
		t.Errorf("split are %q", c.split(colourIn))
	}
}
