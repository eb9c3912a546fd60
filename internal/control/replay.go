package control

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/packet"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Replay runs frames through the program, loaded a second time, on copies of the maps. A reload, which may replace the
// tables, waits meanwhile; flips and packets do not.
func (c *Controller) Replay(ctx context.Context, req api.ReplayRequest) (out api.Replay, err error) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	replica, err := c.plane.NewReplica()
	if errors.Is(err, loader.ErrOutdated) {
		return out, api.Errorf(api.Refused, "%s", err)
	} else if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, replica.Close()) }()
	r := &replay{Controller: c, replica: replica}
	if err := replica.Tables.CopyFlows(c.plane.Tables); err != nil {
		return out, err
	}
	if err := r.configure(req.IfFlipped); err != nil {
		return out, err
	}
	out.Tag, out.Packets = replica.Tag, []api.Replayed{}
	for _, frame := range req.Frames {
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		became, err := r.run(frame)
		if err != nil {
			return out, err
		}
		out.Packets = append(out.Packets, became)
	}
	return out, nil
}

// replay is one that is under way.
type replay struct {
	*Controller
	replica *loader.Replica
	ifaces  map[uint32]kernel.Iface
	counted map[string]uint64
}

// configure copies what the daemon writes, while it does not.
func (r *replay) configure(flip bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.there(); err != nil {
		return err
	}
	t := r.replica.Tables
	if err := r.hops.while(func() error { t.CopyConfiguration(r.plane.Tables); return nil }); err != nil {
		return err
	}
	now, err := r.plane.Now()
	if err != nil {
		return err
	}
	for index := range r.image.Services {
		to, err := r.target(index, "")
		if flip && err == nil {
			t.SetFlipped(index, now)
			t.SetSteer(index, r.flipped(r.image, index, to).Services[index].Steer)
		}
	}
	r.ifaces = t.Ifaces()
	if len(r.ifaces) == 0 {
		return api.Errorf(api.Refused, "the program is attached to no interface that a frame could come in by")
	}
	r.counted, err = t.Reasons()
	return err
}

// arrival is the interface that a frame is for by its MAC, else the first: the program passes it, as one that was flooded.
func (r *replay) arrival(frame []byte) uint32 {
	indexes := slices.Sorted(maps.Keys(r.ifaces))
	for _, index := range indexes {
		if r.ifaces[index].MAC == [6]byte(frame) {
			return index
		}
	}
	return indexes[0]
}

func (r *replay) run(frame []byte) (api.Replayed, error) {
	out := api.Replayed{In: len(frame)}
	action, sent, err := r.replica.Run(r.arrival(frame), frame)
	if err != nil {
		return out, err
	}
	if out.Reasons, err = r.reasons(); err != nil {
		return out, err
	}
	switch action {
	case loader.Sent, loader.Redirected:
		out.Verdict, out.Out = api.VerdictForward, len(sent)
	case loader.Passed:
		out.Verdict = api.VerdictPass
	default:
		out.Verdict = api.VerdictDrop
	}
	for _, answer := range []string{"event_echo", "event_too_big", "event_reset_client"} {
		if slices.Contains(out.Reasons, answer) {
			out.Verdict = api.VerdictAnswer
		}
	}
	return out, r.flow(&out, frame)
}

// reasons are those that were counted since the last look.
func (r *replay) reasons() (moved []string, err error) {
	now, err := r.replica.Tables.Reasons()
	if err != nil {
		return nil, err
	}
	for reason, n := range now {
		if n != r.counted[reason] {
			moved = append(moved, reason)
		}
	}
	slices.Sort(moved)
	r.counted = now
	return moved, nil
}

// flow says between whom a frame is, and whose it is: of the service that listens there, on the backend of its pin.
func (r *replay) flow(out *api.Replayed, frame []byte) error {
	p, ok := packet.Parse(frame)
	if !ok {
		return nil
	}
	from, to, protocol := p.From, p.To, kernel.Protocol(p.Protocol)
	out.Protocol, out.From, out.To = p.Name(), endName(from), endName(to)
	t := r.replica.Tables
	l, there, err := t.Listener(kernel.Socket{Addr: to.Addr(), Port: to.Port(), Protocol: protocol})
	if err != nil || !there || to.Port() == 0 {
		return err
	}
	s, _ := t.Service(l.Service)
	out.Service = s.Name
	pin, there, err := t.Find(from, to.Port(), l.VIP)
	if err != nil || !there || out.Verdict != api.VerdictForward {
		return err
	}
	b, _ := t.Backend(pin.Family, pin.Backend)
	out.Backend = b.Addr.String()
	if g, there := t.Generation(b.Generation); there {
		ref := refOf(g)
		out.Generation = &ref
	}
	return nil
}

// endName is an address, with a port where there is one.
func endName(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
