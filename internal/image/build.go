package image

import (
	"fmt"
	"maps"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Inputs is all that an image is built from.
type Inputs struct {
	Config *config.Config
	State  state.State                // numbers and live generations, for what the kernel does not know
	Have   *Image                     // what the kernel has
	Ticks  func(time.Duration) uint32 // of the data plane's clock
	Now    time.Time
}

// builder turns the image that is there into the one that is wanted.
type builder struct {
	Inputs
	im    *Image
	notes []string
	errs  config.Errors
	full  error // some kind of id has run out
}

// Build makes the image that the configuration wants, out of the one that the kernel has. The notes say what an
// operator should know of it. An error is a refusal: the file asks for what this state does not allow.
func Build(in Inputs) (*Image, []string, error) {
	b := &builder{Inputs: in, im: in.Have.Clone()}
	for _, s := range in.Config.Services {
		if err := b.service(s); err != nil {
			b.errs = append(b.errs, err)
		}
	}
	if len(b.errs) > 0 {
		return nil, nil, b.errs
	}
	b.closeMissing()
	b.listeners()
	if len(b.errs) > 0 {
		return nil, nil, b.errs
	}
	if b.full != nil {
		return nil, nil, b.full
	}
	return b.im, b.notes, nil
}

func (b *builder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// service brings one service's record, generations and backends up to date.
func (b *builder) service(s config.Service) *config.Error {
	index, there := b.im.ServiceNamed(s.Name)
	if !there {
		index = firstFree(b, "services", b.im.Services, kernel.MaxServices)
	}
	have := b.im.Services[index]
	if there && have.Forwarding != forwardingOf(s) {
		return b.Config.Mistake("services."+s.Name+".forwarding",
			"cannot change while the service is there: its sessions were pinned in the old mode; make a service of another name")
	}
	have.Service = kernel.Service{Name: s.Name, Forwarding: forwardingOf(s), ReuseAfter: b.Ticks(s.Timeouts.ReuseAfter)}
	b.im.Services[index] = have
	if err := b.pools(index, s); err != nil {
		return err
	}
	b.firstLive(index)
	b.draining(index)
	b.settings(index, s)
	return nil
}

// draining tells the data plane that a generation of the service drains; the drain's end takes it back.
func (b *builder) draining(index uint16) {
	s := b.im.Services[index]
	for _, g := range b.im.GenerationsOf(index) {
		if b.im.Generations[g].State == kernel.Draining {
			s.Steer.Draining = true
		}
	}
	b.im.Services[index] = s
}

// firstLive gives a service that has no live generation one: the one of the state file, else the one that has its colour
// now, else blue, else green.
func (b *builder) firstLive(index uint16) {
	s := b.im.Services[index]
	if s.Steer.Live != 0 {
		return
	}
	if g, ok := b.liveOf(index, s.Name); ok {
		s.Steer = kernel.Steer{Live: g}
		b.im.Services[index] = s
		rec := b.im.Generations[g]
		rec.State, rec.Since = kernel.Live, b.Now
		b.im.Generations[g] = rec
	}
}

func (b *builder) liveOf(index uint16, name string) (uint16, bool) {
	saved := b.State.Services[name]
	for _, g := range b.im.GenerationsOf(index) {
		if n := b.im.Generations[g].Number; n != 0 && n == saved.Live {
			return g, true
		}
	}
	for _, was := range saved.Generations {
		if was.Number != saved.Live {
			continue
		}
		if g, ok := b.ofColour(index, was.Colour); ok {
			b.note("service %s: version %s was live on %s; the file has version %s there, which is live now",
				name, was.Version, was.Colour, b.im.Generations[g].Version)
			return g, true
		}
		b.note("service %s: version %s was live on %s, which the file no longer has", name, was.Version, was.Colour)
	}
	if g, ok := b.im.InColour(index, kernel.Blue); ok {
		return g, true
	}
	return b.im.InColour(index, kernel.Green)
}

func (b *builder) ofColour(service uint16, name string) (uint16, bool) {
	for _, c := range []kernel.Colour{kernel.Blue, kernel.Green} {
		if ColourName(c) == name {
			return b.im.InColour(service, c)
		}
	}
	return 0, false
}

// settings writes timeouts into every backend of the service, those that drain included.
func (b *builder) settings(index uint16, s config.Service) {
	for id, e := range b.im.Backends {
		if e.Service == index {
			e.Timeouts = timeoutsOf(s.Timeouts, b.Ticks)
			b.im.Backends[id] = e
		}
	}
}

// closeMissing turns the services that the file no longer has into draining ones.
func (b *builder) closeMissing() {
	for index, s := range b.im.Services {
		if _, ok := b.Config.Service(s.Name); ok {
			continue
		}
		if s.Steer.Live != 0 {
			b.note("service %s is no longer in the file: it takes no new sessions and is removed when its last has ended", s.Name)
		}
		s.Steer = kernel.Steer{}
		b.im.Services[index] = s
		for _, g := range b.im.GenerationsOf(index) {
			b.retire(g)
		}
		b.draining(index)
	}
}

func forwardingOf(s config.Service) kernel.Forwarding {
	if s.Forwarding == config.NAT {
		return kernel.NAT
	}
	return kernel.DSR
}

func timeoutsOf(t config.Timeouts, ticks func(time.Duration) uint32) (out kernel.Timeouts) {
	out[kernel.TCPHalfOpen] = ticks(t.TCPHalfOpen)
	out[kernel.TCP] = ticks(t.TCP)
	out[kernel.TCPClosing] = ticks(t.TCPClosing)
	out[kernel.UDPNew] = ticks(t.UDPNew)
	out[kernel.UDP] = ticks(t.UDP)
	return out
}

// firstFree is the smallest id below the limit that is not in use; ids begin at 1. When none is left the build fails.
func firstFree[V any](b *builder, what string, used map[uint16]V, limit int) uint16 {
	for id := 1; id < limit; id++ {
		if _, taken := used[uint16(id)]; !taken {
			return uint16(id)
		}
	}
	b.full = fmt.Errorf("all %d ids of %s are in use, those that drain included: wait for a drain to end", limit-1, what)
	return 0
}

// nextNumber is the number of a service's next generation: they only grow, over reboots too.
func (b *builder) nextNumber(service uint16, name string) uint32 {
	next := max(1, b.State.Services[name].NextGeneration)
	for _, g := range b.im.GenerationsOf(service) {
		next = max(next, b.im.Generations[g].Number+1)
	}
	return next
}

// keysOf collects a map's keys for a stable walk.
func keysOf[K comparable, V any](m map[K]V) map[K]bool {
	out := map[K]bool{}
	for k := range maps.Keys(m) {
		out[k] = true
	}
	return out
}
