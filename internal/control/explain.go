package control

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/explain"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Explain says where a client's flows go, and then where a new one to each listener would. The lock is held for a flow or
// a service at a time.
func (c *Controller) Explain(ctx context.Context, req api.ExplainRequest, yield func(api.Explanation) error) error {
	client, err := req.Address()
	if err != nil {
		return err
	}
	services, err := c.explained(req)
	if err != nil {
		return err
	}
	found, pinned := 0, map[explain.Packet]bool{}
	counted := func(e api.Explanation) error {
		found++
		return yield(e)
	}
	err = c.Flows(ctx, api.FlowFilter{Service: req.Service, Client: req.Client}, func(f api.Flow) error {
		p, wanted := flowPacket(f, req)
		if !wanted || !slices.Contains(services, f.Service) {
			return nil
		}
		pinned[p] = true
		return c.explain(req, func(e *explainer) error { return e.existing(p) }, counted)
	})
	if err != nil {
		return err
	}
	for _, name := range services {
		err := c.explain(req, func(e *explainer) error { return e.newcomers(name, client, pinned) }, counted)
		if err != nil {
			return err
		}
	}
	if found == 0 {
		return api.Errorf(api.NotFound, "there is no %s listener that this is about: ebbtide status lists them", familyName(familyOf(client)))
	}
	return nil
}

// explained are the services that a request is about, in order.
func (c *Controller) explained(req api.ExplainRequest) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if req.Service != "" {
		if _, err := c.service(req.Service); err != nil {
			return nil, err
		}
		return []string{req.Service}, nil
	}
	var out []string
	for _, index := range c.serviceIndexes() {
		if _, err := c.target(index, ""); err == nil || !req.IfFlipped {
			out = append(out, c.image.Services[index].Name)
		}
	}
	if len(out) == 0 {
		return nil, api.Errorf(api.Refused, "no service has anything staged that it could be flipped to")
	}
	return out, nil
}

// flowPacket is a packet of a flow, unless another port is asked for, or it is the entry of a client's session.
func flowPacket(f api.Flow, req api.ExplainRequest) (p explain.Packet, wanted bool) {
	client, err := netip.ParseAddrPort(f.Client)
	if err != nil || client.Port() == 0 || req.Port != 0 && client.Port() != req.Port || req.To != 0 && f.Port != req.To {
		return p, false
	}
	vip, err := netip.ParseAddr(f.VIP)
	p = explain.Packet{Client: client, To: netip.AddrPortFrom(vip, f.Port), Protocol: kernel.ProtocolUDP}
	if f.Protocol == protocolName(kernel.ProtocolTCP) {
		p.Protocol, p.Midstream = kernel.ProtocolTCP, true
	}
	return p, err == nil
}

// explainer explains packets while the lock is held.
type explainer struct {
	*Controller
	req    api.ExplainRequest
	kernel explain.Kernel
	host   explain.Host
	found  []api.Explanation
}

// explain lets ask explain some packets, and yields what came of it.
func (c *Controller) explain(req api.ExplainRequest, ask func(*explainer) error, yield func(api.Explanation) error) error {
	e, err := c.ask(req, ask)
	if err != nil {
		return err
	}
	for _, found := range e.found {
		if err := yield(found); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) ask(req api.ExplainRequest, ask func(*explainer) error) (*explainer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return nil, err
	}
	if rest := c.plane.Importing(); rest != "" {
		return nil, api.Errorf(api.Refused, "still to be imported: %s; a flow may lie in either table: reload goes on with it", rest)
	}
	now, err := c.plane.Now()
	if err != nil {
		return nil, err
	}
	e := &explainer{Controller: c, req: req, host: explain.Host{Now: now, Tick: c.plane.Ticks.Length(), Interface: interfaceName}}
	e.kernel = &liveMaps{Tables: c.plane.Tables, im: c.image, maglev: map[generationFamily][]uint16{}}
	return e, ask(e)
}

// liveMaps reads each Maglev table once.
type liveMaps struct {
	*kernel.Tables
	im     *image.Image
	maglev map[generationFamily][]uint16
}

type generationFamily struct {
	generation uint16
	family     kernel.Family
}

// Maglev implements explain.Kernel.
func (l *liveMaps) Maglev(generation uint16, f kernel.Family) ([]uint16, error) {
	at := generationFamily{generation, f}
	if table, there := l.maglev[at]; there {
		return table, nil
	}
	table, err := l.im.MaglevIn(l.Tables, generation, f)
	l.maglev[at] = table
	return table, err
}

func interfaceName(index uint32) string {
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return fmt.Sprintf("of index %d, which is gone", index)
}

// after is the kernel that is asked: as it is, or as it would be after a flip.
func (e *explainer) after(service uint16) (explain.Kernel, error) {
	if !e.req.IfFlipped {
		return e.kernel, nil
	}
	to, err := e.target(service, "")
	if err != nil {
		return nil, err
	}
	steer := e.flipped(e.image, service, to).Services[service].Steer
	return explain.IfFlipped(e.kernel, map[uint16]kernel.Steer{service: steer}, e.host.Now), nil
}

func (e *explainer) route(service uint16, p explain.Packet) (explain.Route, error) {
	k, err := e.after(service)
	if err != nil {
		return explain.Route{}, err
	}
	return explain.Explain(k, e.host, p)
}

// existing explains a packet of a flow that there is.
func (e *explainer) existing(p explain.Packet) error {
	l, _, err := e.kernel.Listener(kernel.Socket{Addr: p.To.Addr(), Port: p.To.Port(), Protocol: p.Protocol})
	if err != nil {
		return err
	}
	r, err := e.route(l.Service, p)
	if err == nil {
		e.add(api.PacketExisting, r)
	}
	return err
}

// newcomers explains a new flow to each listener of a service, and an orphan where it would go elsewhere.
func (e *explainer) newcomers(name string, client netip.Addr, pinned map[explain.Packet]bool) error {
	service, err := e.service(name)
	if err != nil {
		return err
	}
	for _, to := range e.doors(service, client) {
		p := explain.Packet{Client: netip.AddrPortFrom(client, e.req.Port), To: netip.AddrPortFrom(to.Addr, to.Port), Protocol: to.Protocol}
		r, err := e.route(service, p)
		if err != nil {
			return err
		}
		if !r.Pinned { // else it was explained as a packet of its flow
			e.add(api.PacketNew, r)
		}
		p.Midstream = to.Protocol == kernel.ProtocolTCP
		if !p.Midstream || pinned[p] {
			continue
		}
		orphan, err := e.route(service, p)
		if err != nil {
			return err
		}
		if orphan.Generation != r.Generation {
			e.add(api.PacketOrphan, orphan)
		}
	}
	return nil
}

// doors are the sockets of a service that a client may come to, one a listener: of a range the port that is asked for, else
// the first.
func (e *explainer) doors(service uint16, client netip.Addr) []kernel.Socket {
	first := map[uint16]kernel.Socket{} // by listener id
	for s, l := range e.image.Listeners {
		if l.Service != service || l.Kind == kernel.Mark || s.Addr.Is4() != client.Is4() {
			continue
		}
		if s.Port == 0 && e.req.To != 0 {
			s.Port = e.req.To
			if _, other := e.image.Listeners[s]; other {
				continue
			}
		}
		if e.req.To == 0 || e.req.To == s.Port {
			first[l.ID] = lower(first, l.ID, s)
		}
	}
	var out []kernel.Socket
	for _, s := range first {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b kernel.Socket) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	return out
}

// add notes a route in the API's words.
func (e *explainer) add(packet string, r explain.Route) {
	out := api.Explanation{
		Service: e.image.Services[r.Service].Name, Packet: packet, Protocol: protocolName(r.Protocol), Client: endName(r.Client),
		VIP: r.To.Addr().String(), Port: r.To.Port(), Verdict: string(r.Verdict), Reason: r.Reason,
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, api.ExplainStep{Step: s.Name, Says: s.Says})
	}
	if r.Generation != 0 {
		ref := e.ref(r.Generation)
		out.Generation = &ref
	}
	for _, id := range r.Backends {
		out.Backends = append(out.Backends, e.image.Backends[id].Addrs[familyOf(r.Client.Addr())].String())
	}
	if r.Hop != (kernel.Hop{}) {
		out.Interface, out.MAC = interfaceName(r.Hop.IfIndex), net.HardwareAddr(r.Hop.DstMAC[:]).String()
	}
	e.found = append(e.found, out)
}
