package control

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/packet"
	"github.com/ebbtide/ebbtide/loader/trace"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// traceView puts traced packets into the API's words, and holds back those of other services.
type traceView struct {
	req        api.TraceRequest
	client     netip.Prefix
	interfaces map[uint32]string // names that were asked for
	shown      uint64
	others     uint64
}

func (c *Controller) newTraceView(req api.TraceRequest) (*traceView, error) {
	client, err := req.Prefix()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.image.ServiceNamed(req.Service); req.Service != "" && !ok {
		return nil, noService(c.image, req.Service)
	}
	return &traceView{req: req, client: client, interfaces: map[uint32]string{}}, nil
}

func (v *traceView) full() bool { return v.req.Count > 0 && v.shown >= v.req.Count }

// describe says what became of a packet, by the image of now; false for one of another service than was asked for.
func (c *Controller) describe(v *traceView, e trace.Event) (api.TracedPacket, bool) {
	head, _ := packet.Parse(e.In.Bytes)
	c.mu.Lock()
	im := c.image
	ways := c.ways(e, familyOf(head.From.Addr()))
	c.mu.Unlock()
	out := api.TracedPacket{
		Time: e.Time, Interface: v.interfaceName(e.IfIndex), CPU: e.CPU, Bytes: e.In.Len, Verdict: e.Verdict.String(),
		Reasons: reasonNames(e.Reasons),
	}
	out.Protocol, out.Source, out.Destination = head.Name(), endpoint(head.From), endpoint(head.To)
	if e.Pin != 0 {
		out.State = kernel.StateName(e.Pin.State())
	}
	v.owner(&out, im, e, head)
	if v.req.Service != "" && v.req.Service != out.Service {
		v.others++
		return out, false
	}
	v.wayOut(&out, e, ways)
	if v.req.Frames {
		out.In = e.In.Bytes
	}
	v.shown++
	return out, true
}

// owner names service, generation and backend.
func (v *traceView) owner(out *api.TracedPacket, im *image.Image, e trace.Event, head packet.Packet) {
	service := e.Service
	if b, ok := im.Backends[e.Backend()]; ok {
		gen := im.Generations[b.Generation]
		service = b.Service
		out.Generation = api.GenerationRef{Number: gen.Number, Colour: image.ColourName(gen.Colour), Version: gen.Version}
		if a := b.Addrs[familyOf(head.From.Addr())]; a.IsValid() {
			out.Backend = a.String()
		}
	}
	out.Service = im.Services[service].Name
}

// ways are the interfaces by which a packet may have left: index by MAC, and the one of its backend's next hop. The lock
// is held.
type ways struct {
	byMAC map[[6]byte]uint32
	hop   kernel.Hop
}

func (c *Controller) ways(e trace.Event, f kernel.Family) ways {
	w := ways{byMAC: map[[6]byte]uint32{}}
	if c.gone || e.Verdict != trace.Redirected {
		return w
	}
	for index, i := range c.plane.Tables.Ifaces() {
		w.byMAC[i.MAC] = index
	}
	if id := e.Backend(); id != 0 {
		w.hop, _ = c.plane.Tables.Hop(f, id)
	}
	return w
}

// wayOut says by which interface a packet left, and to whom. XDP does not tell it of a redirect: it is the backend's next
// hop's, or else the one whose MAC the frame has as its source.
func (v *traceView) wayOut(out *api.TracedPacket, e trace.Event, w ways) {
	if e.Verdict != trace.Sent && e.Verdict != trace.Redirected {
		return
	}
	sent, _ := packet.Parse(e.Out.Bytes)
	index := e.IfIndex
	if e.Verdict == trace.Redirected {
		if index = w.byMAC[sent.Source]; w.hop.SrcMAC == sent.Source && w.hop.DstMAC == sent.Target {
			index = w.hop.IfIndex
		}
	}
	out.OutInterface, out.OutMAC, out.OutBytes = v.interfaceName(index), net.HardwareAddr(sent.Target[:]).String(), e.Out.Len
	if v.req.Frames {
		out.Out = e.Out.Bytes
	}
}

// interfaceName of an index; one that is gone is shown by its number.
func (v *traceView) interfaceName(index uint32) string {
	name, known := v.interfaces[index]
	if !known && index != 0 {
		name = strconv.Itoa(int(index))
		if i, err := net.InterfaceByIndex(int(index)); err == nil {
			name = i.Name
		}
		v.interfaces[index] = name
	}
	return name
}

func reasonNames(reasons []kernel.Reason) []string {
	out := []string{}
	for _, r := range reasons {
		if name, err := kernel.ReasonName(r); err == nil {
			out = append(out, name)
		}
	}
	return out
}

// endpoint is an address, with the port where there is one.
func endpoint(a netip.AddrPort) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}
