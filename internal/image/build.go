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

	free free
}

// Build makes the image that the configuration wants, out of the one that the kernel has. The notes say what an
// operator should know of it. An error is a refusal: the file asks for what this state does not allow.
func Build(in Inputs) (*Image, []string, error) {
	b := &builder{Inputs: in, im: in.Have.Clone()}
	b.im.reindex() // an index of its own, to add to
	b.free = freeIn(in.Have)
	for _, s := range in.Config.Services {
		if err := b.service(s); err != nil {
			b.errs = append(b.errs, err)
		}
	}
	if len(b.errs) > 0 {
		return nil, nil, b.errs
	}
	b.closeMissing()
	b.testers()
	b.listeners()
	if len(b.errs) > 0 {
		return nil, nil, b.errs
	}
	if b.full != nil {
		return nil, nil, b.full
	}
	b.im.reindex() // in an order that does not tell how it came about
	return b.im, b.notes, nil
}

func (b *builder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// service brings one service's record, generations and backends up to date.
func (b *builder) service(s config.Service) *config.Error {
	index, there := b.im.ServiceNamed(s.Name)
	if !there {
		index = b.next(&b.free.services)
	}
	have := b.im.Services[index]
	if there && have.Forwarding != forwardingOf(s) {
		return b.Config.Mistake("services."+s.Name+".forwarding",
			"cannot change while the service is there: its sessions were pinned in the old mode; make a service of another name")
	}
	have.Service = kernel.Service{
		Name: s.Name, Forwarding: forwardingOf(s), ReuseAfter: b.Ticks(s.Timeouts.ReuseAfter), Timeouts: timeoutsOf(s.Timeouts, b.Ticks),
		Affinity: affinityOf(s), LingerCap: b.Ticks(s.Timeouts.LingerCap), SessionVIP: b.sessionVIPs(s, have.SessionVIP),
		ClampMSS: s.MSS == config.MSSAuto, NewFlows: newFlowsOf(s.Limits.NewFlows, b.Ticks), HalfOpen: halfOpenOf(s.Limits.HalfOpen),
		Busy: have.Busy,
	}
	b.im.addService(index, have)
	if err := b.pools(index, s); err != nil {
		return err
	}
	if s.OnBackendLoss != config.LossMove {
		b.im.keepSessions(index)
	}
	b.firstLive(index)
	b.draining(index)
	b.candidate(index)
	if !there {
		b.savedTesters(index, s.Name)
	}
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
		s.Busy, s.Steer.Busy = b.savedBusy(s.Name)
		b.im.Services[index] = s
		rec := b.im.Generations[g]
		rec.State, rec.Since = kernel.Live, b.Now
		b.im.Generations[g] = rec
	}
}

// savedBusy is what a service that was closed before a reboot told new sessions.
func (b *builder) savedBusy(name string) (kernel.Busy, bool) {
	switch b.State.Services[name].Closed {
	case state.ClosedByReset:
		return kernel.BusyReset, true
	case state.ClosedByICMP:
		return kernel.BusyICMP, true
	}
	return kernel.BusyReset, false
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

// closeMissing turns the services that the file no longer has into draining ones.
func (b *builder) closeMissing() {
	for index, s := range b.im.Services {
		if _, ok := b.Config.Service(s.Name); ok {
			continue
		}
		if s.Steer.Live != 0 {
			b.note("service %s is no longer in the file: it takes no new sessions and is removed when its last has ended", s.Name)
		}
		b.im.keepSessions(index)
		s.Steer = kernel.Steer{}
		b.im.Services[index] = s
		for _, g := range b.im.GenerationsOf(index) {
			b.retire(g)
		}
		b.draining(index)
	}
}

func forwardingOf(s config.Service) kernel.Forwarding {
	switch s.Forwarding {
	case config.NAT:
		return kernel.NAT
	case config.IPIP:
		return kernel.IPIP
	}
	return kernel.DSR
}

func timeoutsOf(t config.Timeouts, ticks func(time.Duration) uint32) (out kernel.Timeouts) {
	out[kernel.TCPHalfOpen] = ticks(t.TCPHalfOpen)
	out[kernel.TCP] = ticks(t.TCP)
	out[kernel.TCPClosing] = ticks(t.TCPClosing)
	out[kernel.UDPNew] = ticks(t.UDPNew)
	out[kernel.UDP] = ticks(t.UDP)
	out[kernel.Linger] = ticks(t.Linger)
	return out
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
