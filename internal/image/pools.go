package image

import (
	"fmt"

	"github.com/ebbtide/ebbtide/internal/config"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// ColourOf is a configuration's colour in the kernel's words.
func ColourOf(c config.Colour) kernel.Colour {
	if c == config.Green {
		return kernel.Green
	}
	return kernel.Blue
}

// ColourName is a colour in words; empty outside the slots.
func ColourName(c kernel.Colour) string {
	switch c {
	case kernel.Blue:
		return string(config.Blue)
	case kernel.Green:
		return string(config.Green)
	}
	return ""
}

// pools gives each colour of the service the generation that the file wants there. A pool is recognised by its version:
// one that the kernel has in the other colour stays there.
func (b *builder) pools(index uint16, s config.Service) *config.Error {
	for _, c := range config.Colours() {
		pool, wanted := s.Pools[c]
		if !wanted {
			if err := b.poolGone(index, s, c); err != nil {
				return err
			}
			continue
		}
		g, err := b.generation(index, s, c, pool)
		if err != nil {
			return err
		}
		b.backends(index, g, s, pool)
	}
	b.retireUnnamed(index, s)
	return nil
}

// retireUnnamed takes out of its slot what the file has in neither colour: the pool of the file's colour is in the other
// one here. What is live was refused before.
func (b *builder) retireUnnamed(index uint16, s config.Service) {
	for _, c := range config.Colours() {
		g, ok := b.im.InColour(index, ColourOf(c))
		if ok && g != b.im.Services[index].Steer.Live && !b.keepsVersion(s, b.im.Generations[g].Version) {
			b.retire(g)
		}
	}
}

// byVersion finds the generation of a version that holds one of the service's colours.
func (b *builder) byVersion(service uint16, version string) (uint16, bool) {
	for _, g := range b.im.GenerationsOf(service) {
		if rec := b.im.Generations[g]; rec.Version == version && rec.Colour != kernel.NoColour {
			return g, true
		}
	}
	return 0, false
}

// generation finds or makes the generation of a pool.
func (b *builder) generation(index uint16, s config.Service, c config.Colour, pool config.Pool) (uint16, *config.Error) {
	if g, ok := b.byVersion(index, pool.Version); ok {
		if holds := b.im.Generations[g].Colour; holds != ColourOf(c) {
			b.note("service %s: version %s is %s here, the file has it as %s; nothing is moved: write it as %s",
				s.Name, pool.Version, ColourName(holds), c, ColourName(holds))
		}
		return g, nil
	}
	if old, ok := b.im.InColour(index, ColourOf(c)); ok {
		if b.im.Services[index].Steer.Live == old {
			return 0, b.Config.Mistake(fmt.Sprintf("services.%s.pools.%s.version", s.Name, c),
				fmt.Sprintf("%s is live with version %s: a new version goes to the idle colour, %s, and is made live by a flip",
					c, b.im.Generations[old].Version, c.Other()))
		}
		b.retire(old)
	}
	g := b.next(&b.free.generations)
	b.im.addGeneration(g, kernel.Generation{
		Number: b.numberFor(index, s.Name, pool.Version), Service: index, Colour: ColourOf(c), State: kernel.Candidate,
		Version: pool.Version, Since: b.Now,
	})
	return g, nil
}

// numberFor: after a reboot the state file still knows the generation of a version that was staged.
func (b *builder) numberFor(service uint16, name, version string) uint32 {
	taken := map[uint32]bool{}
	for _, g := range b.im.GenerationsOf(service) {
		taken[b.im.Generations[g].Number] = true
	}
	for _, g := range b.State.Services[name].Generations {
		if g.Version == version && g.Colour != "" && !taken[g.Number] {
			return g.Number
		}
	}
	return b.nextNumber(service, name)
}

func (b *builder) poolGone(index uint16, s config.Service, c config.Colour) *config.Error {
	g, ok := b.im.InColour(index, ColourOf(c))
	if !ok || b.keepsVersion(s, b.im.Generations[g].Version) {
		return nil
	}
	if b.im.Services[index].Steer.Live == g {
		return b.Config.Mistake(fmt.Sprintf("services.%s.pools", s.Name),
			fmt.Sprintf("%s is live and cannot be removed: flip to %s first", c, c.Other()))
	}
	b.retire(g)
	return nil
}

func (b *builder) keepsVersion(s config.Service, version string) bool {
	for _, p := range s.Pools {
		if p.Version == version {
			return true
		}
	}
	return false
}

// UnknownCount stands in a generation's marks, NewAtFlip and ReopenedAtFlip, from the moment at which it is no longer live
// until a barrier has passed and its counters were read: a daemon that starts again and finds it knows what is left to do.
const UnknownCount = ^uint64(0)

// retire takes a generation out of its slot. It keeps its sessions and gets no new ones; its backends go when the last
// session has ended.
func (b *builder) retire(g uint16) {
	rec := b.im.Generations[g]
	if rec.Colour == kernel.NoColour && (rec.State == kernel.Draining || rec.State == kernel.Drained) {
		return
	}
	rec.Colour = kernel.NoColour
	if rec.State == kernel.Live || rec.State == kernel.Candidate { // either had new sessions
		rec.NewAtFlip, rec.ReopenedAtFlip = UnknownCount, UnknownCount
	}
	if rec.State != kernel.Draining {
		rec.State, rec.Since = kernel.Draining, b.Now
	}
	b.im.Generations[g] = rec
}

// backends brings the backends of a generation to what its pool says. One that is gone from the file keeps its sessions.
func (b *builder) backends(service, g uint16, s config.Service, pool config.Pool) {
	have := map[backendKey]uint16{}
	for _, id := range b.im.BackendsOf(g) {
		have[b.im.Backends[id].key()] = id
	}
	for _, want := range pool.Backends {
		e := Backend{Backend: kernel.Backend{
			Port: want.Port, Generation: g, Service: service, Forwarding: forwardingOf(s),
			Weight: uint16(want.Weight), Use: kernel.InPool,
		}}
		e.Addrs[kernel.IPv4], e.Addrs[kernel.IPv6] = want.Addr4(), want.Addr6()
		if s.Forwarding == config.IPIP && !e.Addrs[kernel.IPv4].IsValid() {
			e.Addrs[kernel.IPv4] = want.Addr6()
		}
		id, ok := have[e.key()]
		if !ok {
			b.im.addBackend(b.next(&b.free.backends), e)
			continue
		}
		e.Lost = b.im.Backends[id].Lost
		if b.im.Backends[id].Use == kernel.Resting {
			e.Use = kernel.Resting // until whoever rests it says otherwise
		}
		delete(have, e.key())
		b.im.Backends[id] = e
	}
	for _, id := range have {
		e := b.im.Backends[id]
		e.Use, e.Weight = kernel.Removed, 0
		b.im.Backends[id] = e
	}
}
