package control

import (
	"cmp"
	"context"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/forecast"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// remains is what a walk through the flow tables finds left of a generation that drains. Of many sessions it looks at every
// so many: where a flow lies is chance.
type remains struct {
	service image.Service
	im      *image.Image
	tick    time.Duration
	stride  uint64 // it looks at one of so many
	met     uint64
	looked  uint64

	ages    [agesGroups]float64 // of those that are under way
	tail    time.Duration       // that the entry of one of those is kept after its end
	ending  time.Duration       // until the last of those that have ended is gone
	all     []uint32            // ages in seconds
	rest    api.DrainRest
	clients map[netip.Addr]uint64
}

// mostLooked bounds what is looked at of a generation.
const mostLooked = 10_000

// Ages are kept by eighths of a doubling: closer than the bins of lengths.
const (
	agesPart   = 8
	agesGroups = agesPart * 27
)

func newRemains(im *image.Image, g uint16, left uint64, tick time.Duration) *remains {
	return &remains{
		service: im.Services[im.Generations[g].Service], im: im, tick: tick,
		stride: 1 + left/mostLooked, clients: map[netip.Addr]uint64{},
	}
}

// due says whether the next flow is one to look at.
func (r *remains) due() bool {
	r.met++
	return r.met%r.stride == 0
}

// session says whether a flow is what the service counts as a session.
func (r *remains) session(f kernel.Flow) bool {
	return r.service.Affinity == kernel.AffinityFlow || r.im.VIPs[f.VIP].Protocol == kernel.ProtocolSession
}

func (r *remains) see(f kernel.Flow, now uint32) {
	protocol := r.im.VIPs[f.VIP].Protocol
	idle, timeout := silence(now, f.Seen), r.service.Timeouts.For(protocol, f.State)
	if idle > timeout || !r.session(f) {
		return
	}
	r.looked++
	age := (now - f.Start) & kernel.TickMask
	if age > kernel.TickMask/2 {
		age = 0
	}
	r.note(f, age, idle)
	switch f.State {
	case kernel.HalfOpen, kernel.Closing, kernel.Evicting:
		r.ending = max(r.ending, time.Duration(timeout-idle+1)*r.tick)
		return
	}
	// What silence ends may have ended with its last packet; a TCP session's end would show.
	ended := r.service.Timeouts.For(protocol, kernel.Closing)
	if protocol != kernel.ProtocolTCP {
		age -= min(age, idle)
	}
	r.tail = max(r.tail, time.Duration(ended)*r.tick)
	seconds := (time.Duration(age) * r.tick).Seconds()
	r.ages[min(agesGroups-1, int(agesPart*math.Log2(1+seconds)))] += float64(r.stride)
}

// note counts why it may stay.
func (r *remains) note(f kernel.Flow, age, idle uint32) {
	seconds := func(ticks uint32) uint32 { return uint32((time.Duration(ticks) * r.tick).Seconds()) }
	r.all = append(r.all, seconds(age))
	r.clients[f.Client.Addr()] += r.stride
	r.rest.IdleSeconds = max(r.rest.IdleSeconds, seconds(idle))
	r.rest.OldestSeconds = max(r.rest.OldestSeconds, seconds(age))
	if seconds(idle) > 60 {
		r.rest.Idle += r.stride
	}
	switch {
	case f.State == kernel.Closing:
		r.rest.Lingering += r.stride
	case f.State == kernel.HalfOpen, f.State == kernel.Young && f.Age >= youngFor:
		r.rest.OneWay += r.stride
	}
}

// youngFor is how many ticks a flow stays young, but for one whose nat backend has not answered.
const youngFor = 10

// living are the sessions under way, by age.
func (r *remains) living() (out []forecast.Group) {
	for i, n := range r.ages {
		if n > 0 {
			out = append(out, forecast.Group{Age: math.Exp2((float64(i)+0.5)/agesPart) - 1, N: n})
		}
	}
	return out
}

// mostClients are named of those that have sessions left.
const mostClients = 5

// sum is the whole of it for whoever asks.
func (r *remains) sum() *api.DrainRest {
	out := r.rest
	out.Looked = r.looked
	if slices.Sort(r.all); len(r.all) > 0 {
		out.MedianSeconds = r.all[len(r.all)/2]
	}
	for client, n := range r.clients {
		out.Clients = append(out.Clients, api.LeftClient{Client: client.String(), Sessions: n})
	}
	slices.SortFunc(out.Clients, func(a, b api.LeftClient) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), cmp.Compare(a.Client, b.Client))
	})
	out.Clients = out.Clients[:min(len(out.Clients), mostClients)]
	return &out
}

// walkRemains fills all remains in one walk. What is of no generation among them costs a load of its meta word.
func walkRemains(ctx context.Context, im *image.Image, all map[uint16]*remains, tables *kernel.Tables, piece func(read func(now uint32)) error) error {
	var of [kernel.MaxBackends]*remains
	for id, b := range im.Backends {
		of[id] = all[b.Generation]
	}
	wanted := kernel.Wanted{Meta: func(m kernel.Meta) bool {
		r := of[m.Backend()]
		return r != nil && r.due()
	}}
	for _, f := range kernel.Families() {
		for next, end := uint32(0), tables.SlotCount(f); next < end; {
			err := piece(func(now uint32) {
				next = tables.Scan(f, next, min(next+pieceSlots, end), wanted, func(flow kernel.Flow) bool {
					if r := of[flow.Backend]; r != nil {
						r.see(flow, now)
					}
					return true
				})
			})
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
