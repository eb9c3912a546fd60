package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/explain"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/internal/release"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// actProbe is that a candidate is asked by testers of the daemon's own.
const actProbe = "probe"

// Prober asks from outside, over the real VIPs. [probe.Client] is one.
type Prober interface {
	Info(context.Context) (probe.Info, error)
	Ask(context.Context, probe.Question) (probe.Answer, error)
}

// probing is of probes.
type probing struct {
	net     Prober
	players Players
	mu      sync.Mutex // held while somebody probes or rehearses, before the controller's
}

// probeChecks asks the backends of a candidate, each, over the real VIPs: as a tester, through the program, by ports that it
// steers to them. What can't be asked is said. The lock is not held.
func (c *Controller) probeChecks(ctx context.Context, name string, number uint32) []release.Check {
	if c.probing.net == nil {
		return nil
	}
	c.probing.mu.Lock()
	defer c.probing.mu.Unlock()
	info, err := c.probing.net.Info(ctx)
	if err != nil && !errors.Is(err, probe.ErrAbsent) {
		return []release.Check{{Name: "probe", Detail: err.Error()}}
	}
	if why := c.cannotProbe(name, number, info, err == nil); why != "" {
		return []release.Check{{Name: "probe", OK: true, Unknown: true, Detail: "not asked: " + why}}
	}
	checks, err := c.probeCandidate(ctx, name, info)
	if err != nil {
		return []release.Check{{Name: "probe", Detail: err.Error()}}
	}
	return checks
}

// cannotProbe is why a generation can't be asked, and what to do; "": it can be.
func (c *Controller) cannotProbe(name string, number uint32, info probe.Info, there bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, _ := c.image.ServiceNamed(name)
	s := c.image.Services[service]
	switch {
	case !there:
		return "no probe net runs on this host; see ebbtide probenet --help"
	case len(c.probesOf(name)) == 0:
		return "the service has no release.probes"
	case s.Forwarding != kernel.NAT && info.Interface == "":
		return fmt.Sprintf("backends of %s answer their clients directly, and the probe net does not hear them: start it with --interface", forwardingName(s.Forwarding))
	case c.generationNumbered(service, number) != s.Steer.Candidate:
		return fmt.Sprintf("generation %d was live before, and testers reach a candidate only", number)
	}
	return ""
}

func (c *Controller) probesOf(name string) []config.Probe {
	if c.cfg == nil {
		return nil
	}
	s, _ := c.cfg.Service(name)
	return s.Release.Probes
}

func (c *Controller) probeCandidate(ctx context.Context, name string, info probe.Info) (checks []release.Check, err error) {
	end, err := c.beginProbes(ctx, name, info)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	asked, err := c.questions(name, info)
	if err != nil {
		return nil, err
	}
	c.askAll(ctx, asked)
	if err := c.findPins(asked); err != nil {
		return nil, err
	}
	for _, a := range asked {
		checks = append(checks, a.check())
	}
	return checks, nil
}

// beginProbes makes the probes' addresses testers and has the program run where they come in. What it gives takes that back;
// after a crash the next daemon does.
func (c *Controller) beginProbes(ctx context.Context, name string, info probe.Info) (end func() error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, err := c.service(name)
	if err == nil {
		err = c.there()
	}
	if err != nil {
		return nil, err
	}
	a, err := c.begin(ctx, actProbe, name, "", nil, info.Addresses)
	if err != nil {
		return nil, err
	}
	if err = c.attachProbe(probe.Interface); err == nil {
		err = c.setProbeTesters(service, info.Addresses, true)
	}
	end = func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.gone {
			return nil
		}
		c.step("detach " + probe.Interface)
		err := errors.Join(c.setProbeTesters(service, info.Addresses, false), c.plane.DetachFrom(probe.Interface))
		a.end(nil, err)
		return err
	}
	if err != nil {
		c.mu.Unlock()
		err = errors.Join(err, end())
		c.mu.Lock()
		return nil, err
	}
	return end, nil
}

func (c *Controller) attachProbe(name string) error {
	c.step("attach " + name)
	return c.plane.Attach(name, loader.Native, false) // a veth has it
}

// setProbeTesters makes addresses testers of a service, or no longer. The state file does not know them.
func (c *Controller) setProbeTesters(service uint16, addresses []netip.Addr, on bool) error {
	testers := maps.Clone(c.image.Testers)
	for _, a := range addresses {
		t := kernel.Tester{Service: service, Prefix: netip.PrefixFrom(a, a.BitLen())}
		if on {
			testers[t] |= kernel.FromProbe
		} else if testers[t] &^= kernel.FromProbe; testers[t] == 0 {
			delete(testers, t)
		}
	}
	if _, there := c.image.Services[service]; !there {
		return nil
	}
	return c.write(c.image.WithTesters(testers))
}

// asked is one probe of one VIP.
type asked struct {
	probe      config.Probe
	vip        netip.Addr
	generation string
	alone      string // why not each backend could be reached; "": each was, or tried
	of         []*askedBackend
	unreached  []string
}

// askedBackend is what one backend said.
type askedBackend struct {
	id       uint16
	name     string
	question probe.Question
	answer   probe.Answer
	failed   string
}

// questions finds, for each probe, VIP and backend of the candidate, a port from which the program steers to it.
func (c *Controller) questions(name string, info probe.Info) (out []*asked, err error) {
	_, err = c.ask(api.ExplainRequest{}, func(e *explainer) error {
		service, err := e.service(name)
		if err != nil {
			return err
		}
		cfg, _ := e.cfg.Service(name)
		for _, p := range cfg.Release.Probes {
			for _, l := range cfg.Listeners {
				from := slices.IndexFunc(info.Addresses, func(a netip.Addr) bool { return a.Is4() == l.VIP.Is4() })
				if !l.Takes(p) {
					continue
				}
				a := &asked{probe: p, vip: l.VIP, generation: fmt.Sprint(e.image.Generations[e.image.Services[service].Steer.Candidate].Number)}
				out = append(out, a)
				if from < 0 {
					a.alone = fmt.Sprintf("the probe net has no %s address", familyName(familyOf(l.VIP)))
					continue
				}
				if err := e.findPorts(a, service, info.Addresses[from]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return out, err
}

// Ports of probes: those that Linux gives clients.
const firstPort, ports = 32768, 28232

// findPorts looks for a port to each backend. Where all sessions of a client have one backend, only that one is reached.
func (e *explainer) findPorts(a *asked, service uint16, from netip.Addr) error {
	want := map[uint16]bool{}
	for _, id := range e.inPool(e.image.Services[service].Steer.Candidate) {
		if e.takesNew(id) && e.image.Backends[id].Addrs[familyOf(a.vip)].IsValid() {
			want[id] = true
		}
	}
	all, start := len(want), rand.IntN(ports)
	for i := 0; i < min(ports, 256+64*all) && len(want) > 0; i++ {
		q := probe.Question{
			From: netip.AddrPortFrom(from, uint16(firstPort+(start+i)%ports)), To: netip.AddrPortFrom(a.vip, a.probe.Port()),
			Timeout: a.probe.Timeout, TCP: a.probe.UDP == nil && a.probe.HTTP == nil, UDP: a.probe.UDP, HTTP: a.probe.HTTP,
		}
		route, err := explain.Explain(e.kernel, e.host, probePacket(q, false))
		if err != nil {
			return err
		}
		if id := route.Backend(); !route.Pinned && route.Verdict == explain.Forward && want[id] {
			delete(want, id)
			a.of = append(a.of, &askedBackend{id: id, name: e.image.Backends[id].Addrs[familyOf(a.vip)].String(), question: q})
		}
	}
	for id := range want {
		a.unreached = append(a.unreached, e.image.Backends[id].Addrs[familyOf(a.vip)].String())
	}
	slices.Sort(a.unreached)
	slices.SortFunc(a.of, func(x, y *askedBackend) int { return strings.Compare(x.name, y.name) })
	switch {
	case len(want) == 0:
	case e.image.Services[service].Affinity != kernel.AffinityFlow:
		a.alone = "all sessions of a client have one backend"
	default:
		a.alone = "the program steers no probe there: it has no way to it, or a full one's sessions go elsewhere"
	}
	return nil
}

func probePacket(q probe.Question, midstream bool) explain.Packet {
	p := explain.Packet{Client: q.From, To: q.To, Protocol: kernel.ProtocolTCP, Midstream: midstream}
	if q.UDP != nil {
		p.Protocol, p.Midstream = kernel.ProtocolUDP, false
	}
	return p
}

// mostAsked bounds how many are asked at once.
const mostAsked = 16

func (c *Controller) askAll(ctx context.Context, list []*asked) {
	var wg sync.WaitGroup
	turn := make(chan struct{}, mostAsked)
	for _, a := range list {
		for _, b := range a.of {
			wg.Go(func() {
				turn <- struct{}{}
				defer func() { <-turn }()
				answer, err := c.probing.net.Ask(ctx, b.question)
				if b.answer, b.failed = answer, answer.Failed; err != nil {
					b.failed = err.Error()
				}
			})
		}
	}
	wg.Wait()
}

// findPins looks whether those that were answered have a pin to the backend that was meant: then it was the program that
// brought them there.
func (c *Controller) findPins(list []*asked) error {
	_, err := c.ask(api.ExplainRequest{}, func(e *explainer) error {
		for _, a := range list {
			for _, b := range a.of {
				route, err := explain.Explain(e.kernel, e.host, probePacket(b.question, true))
				if err != nil {
					return err
				}
				if b.failed == "" && (!route.Pinned || route.Backend() != b.id) {
					b.failed = fmt.Sprintf("%s, but the kernel has no pin of %s to it", b.answer.Saw, b.question.From)
				}
			}
		}
		return nil
	})
	return err
}

// check says what came of a probe.
func (a *asked) check() release.Check {
	k := release.Check{Name: fmt.Sprintf("probe %s of %s", a.probe, a.vip), OK: true}
	well := 0
	var said []string
	for _, b := range a.of {
		if b.failed == "" {
			well++
			said = append(said, fmt.Sprintf("%s: %s in %s", b.name, b.answer.Saw, b.answer.Took.Round(100*time.Microsecond)))
			continue
		}
		k.OK = false
		said = append(said, fmt.Sprintf("%s: %s", b.name, b.failed))
	}
	for _, name := range a.unreached {
		said = append(said, name+" was not asked")
	}
	if a.alone != "" {
		said = append(said, a.alone)
		k.Unknown = len(a.of) == 0
	}
	k.Detail = fmt.Sprintf("%d of %d backends of generation %s answered: %s", well, len(a.of)+len(a.unreached), a.generation, strings.Join(said, "; "))
	return k
}
