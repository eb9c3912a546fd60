package datapath

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// modelled is a world with a model beside it that is told the same.
func (w *world) modelled(tb testing.TB) *scene {
	tb.Helper()
	return &scene{plane: w.plane, tb: tb, m: model.New(w.modelConfig())}
}

// modelConfig reads a world back as the model knows it.
func (w *world) modelConfig() model.Config {
	w.tb.Helper()
	c := model.NewConfig()
	for ifindex, i := range w.Ifaces() {
		c.Ifaces[ifindex] = model.Iface{MAC: i.MAC, MTU: int(i.MTU)}
	}
	for _, v := range w.VLANs() {
		c.VLANs[model.Way{Iface: v.On, Tags: modelTags(v.Tags)}] = model.Iface{MAC: v.MAC, MTU: int(v.MTU)}
	}
	listeners, err := w.Listeners()
	w.must(err)
	for s, l := range listeners {
		if l.Kind != maps.Mark {
			c.Listeners[modelSocket(s)] = model.Listener{
				ID: l.ID, VIP: l.VIP, Service: l.Service, Forwarding: model.Forwarding(l.Forwarding), Closed: l.Kind == maps.Closed,
			}
		}
	}
	vips, err := w.VIPs()
	w.must(err)
	for id, v := range vips {
		c.VIPs[id] = model.VIP{Addr: v.Addr, Proto: uint8(v.Protocol), Listener: v.Listener}
	}
	replies, err := w.Replies()
	w.must(err)
	for s, r := range replies {
		c.Replies[modelSocket(s)] = model.Reply{VIP: r.VIP, Port: r.Port, VIPID: r.VIPID}
	}
	for kind, limit := range map[maps.Limited]*model.Limit{
		maps.LimitedEcho: &c.Limits.Echo, maps.LimitedTooBig: &c.Limits.TooBig, maps.LimitedReset: &c.Limits.Reset, maps.LimitedBusy: &c.Limits.Busy,
	} {
		*limit = model.Limit{Each: w.Limit(kind), Left: w.Limit(kind)} // of a tick that never ends: more than a test asks for
	}
	w.modelServices(&c)
	for _, f := range maps.Families() {
		c.Lines[f], c.Overflow[f] = w.layouts[f].Lines, w.layouts[f].Stash
		for generation := range generations {
			c.Maglev[f][generation] = w.maglev(generation, f)
		}
	}
	return c
}

func modelSocket(s maps.Socket) model.Socket {
	return model.Socket{Addr: s.Addr, Port: s.Port, Proto: uint8(s.Protocol)}
}

// modelServices reads services and backends.
func (w *world) modelServices(c *model.Config) {
	for index, s := range w.Services() {
		steer := w.Steer(index)
		t := s.Timeouts
		c.Services[index] = &model.Service{
			Live: steer.Live, Previous: steer.Previous, Candidate: steer.Candidate, Share: uint64(steer.Share), Salt: s.Salt,
			Draining: steer.Draining, Busy: steer.Busy, BusyICMP: s.Busy == maps.BusyICMP, ReuseAfter: int64(s.ReuseAfter),
			Timeouts: model.Timeouts{
				TCPHalfOpen: int64(t[maps.TCPHalfOpen]), TCP: int64(t[maps.TCP]), TCPClosing: int64(t[maps.TCPClosing]),
				UDPNew: int64(t[maps.UDPNew]), UDP: int64(t[maps.UDP]), Linger: int64(t[maps.Linger]),
			},
			Affinity: model.Affinity(s.Affinity), LingerCap: int64(s.LingerCap), SessionVIP: s.SessionVIP,
		}
	}
	for _, f := range maps.Families() {
		for id, b := range w.Backends(f) {
			hop, resolved := w.Hop(f, id)
			c.Backends[f][id] = &model.Backend{
				ID: id, Addr: b.Addr, Port: b.Port, Generation: b.Generation, Service: b.Service,
				Forwarding: model.Forwarding(b.Forwarding), Outer: int(b.Outer), Room: roomOf(hop), Resolved: resolved, Way: model.Way{Iface: hop.IfIndex, Tags: modelTags(hop.Tags)}, Src: hop.SrcMAC, Dst: hop.DstMAC,
			}
		}
	}
}

func modelTags(tags maps.Tags) model.Tags {
	var b []byte
	for _, t := range tags[:tags.Count()] {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, t.TPID), t.ID)
	}
	return model.Tags(b)
}

// roomOf a way: 0 stands for the largest packet that there is.
func roomOf(h maps.Hop) int { return cmp.Or(int(h.Room), 65535) }

func isVIP(a netip.Addr) bool {
	return slices.ContainsFunc([][2]netip.Addr{gameVIP, otherVIP, shopVIP, relayVIP}, func(v [2]netip.Addr) bool { return v[0] == a || v[1] == a })
}
