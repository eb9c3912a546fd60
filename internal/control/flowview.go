package control

import (
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// flowView shows flows in the API's words, and holds back those that a filter does not want: what it can by their meta
// word, before the flow is read.
type flowView struct {
	im     *image.Image
	tick   time.Duration
	prefix netip.Prefix // of the clients; the zero one: of all
	states [8]bool      // by what a meta word has room for

	service    string
	generation uint32
	backends   [kernel.MaxBackends]*shownBackend // by id, made when it is met
	vips       [1 << 16]*shownVIP
}

// shownBackend is all that is the same for the flows of one backend.
type shownBackend struct {
	wanted     bool
	service    string
	generation api.GenerationRef
	addrs      [2]string
	timeouts   kernel.Timeouts
}

type shownVIP struct {
	addr     string
	protocol kernel.Protocol
}

func newFlowView(im *image.Image, filter api.FlowFilter, tick time.Duration) (*flowView, error) {
	prefix, err := filter.ClientPrefix()
	if err != nil {
		return nil, err
	}
	if filter.Service != "" {
		if _, ok := im.ServiceNamed(filter.Service); !ok {
			return nil, noService(im, filter.Service)
		}
	}
	v := &flowView{im: im, tick: tick, prefix: prefix, service: filter.Service, generation: filter.Generation}
	for s := kernel.HalfOpen; s <= kernel.Evicting; s++ {
		v.states[s] = filter.State == "" || kernel.StateName(s) == filter.State
	}
	return v, nil
}

// wanted says what a meta word tells of whether its flow is.
func (v *flowView) wanted(m kernel.Meta) bool {
	return v.states[m.State()] && v.backend(m.Backend()).wanted
}

func (v *flowView) backend(id uint16) *shownBackend {
	if v.backends[id] == nil {
		v.backends[id] = v.newBackend(id)
	}
	return v.backends[id]
}

func (v *flowView) newBackend(id uint16) *shownBackend {
	b := v.im.Backends[id]
	gen := v.im.Generations[b.Generation]
	out := &shownBackend{
		service: v.im.Services[b.Service].Name, timeouts: v.im.Services[b.Service].Timeouts,
		generation: api.GenerationRef{Number: gen.Number, Colour: image.ColourName(gen.Colour), Version: gen.Version},
	}
	for _, f := range kernel.Families() {
		if a := b.Addrs[f]; a.IsValid() {
			out.addrs[f] = a.String()
		}
	}
	out.wanted = (v.service == "" || v.service == out.service) && (v.generation == 0 || v.generation == gen.Number)
	return out
}

func (v *flowView) vip(id uint16) *shownVIP {
	if v.vips[id] == nil {
		vip := v.im.VIPs[id]
		v.vips[id] = &shownVIP{vip.Addr.String(), vip.Protocol}
	}
	return v.vips[id]
}

// flow is one flow in the API's words; false when it has expired.
func (v *flowView) flow(f kernel.Flow, now uint32) (api.Flow, bool) {
	b, vip := v.backend(f.Backend), v.vip(f.VIP)
	idle := silence(now, f.Seen)
	if idle > b.timeouts.For(vip.protocol, f.State) {
		return api.Flow{}, false
	}
	return api.Flow{
		Service: b.service, Family: familyName(f.Family), Protocol: protocolName(vip.protocol), Client: f.Client.String(),
		VIP: vip.addr, Port: f.Port, Generation: b.generation, Backend: b.addrs[f.Family], State: kernel.StateName(f.State),
		AgeSeconds:  v.seconds((now - f.Start) & kernel.TickMask),
		IdleSeconds: v.seconds(idle),
	}, true
}

func (v *flowView) seconds(ticks uint32) uint32 {
	return uint32((time.Duration(ticks) * v.tick).Seconds())
}

// silence in ticks; one that is ahead of the clock that was read counts as none.
func silence(now, seen uint32) uint32 {
	d := (now - seen) & kernel.TickMask
	if d > kernel.TickMask/2 {
		return 0
	}
	return d
}
