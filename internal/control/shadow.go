package control

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/probe"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// shadowName is that of the service on which a release is rehearsed. No file can have it, and it sorts behind all that can.
const shadowName = "~rehearsal"

// shadowTimeouts let its sessions end within seconds.
var shadowTimeouts = config.Timeouts{
	TCP: 10 * time.Second, TCPHalfOpen: 3 * time.Second, TCPClosing: time.Second, UDP: 3 * time.Second, UDPNew: 3 * time.Second,
	ReuseAfter: 5 * time.Second, Linger: 15 * time.Second, LingerCap: 15 * time.Second,
}

// shadowInterfaces are where its players come in, and where its backends are.
var shadowInterfaces = []string{probe.Interface, probe.ShadowInterface}

// withShadow is the configuration that is applied, with the shadow of a service. No interface holds the shadow's VIP, and
// nothing but the probe net has a route to it or to its backends. It forwards by nat, whatever the service does: its
// backends answer by way of the program.
func (c *Controller) withShadow(v api.Verification) (*config.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg == nil {
		return nil, api.Errorf(api.Refused, "the configuration file is not applied: mend it and reload")
	}
	if s, there := c.image.ServiceNamed(shadowName); there {
		return nil, api.Errorf(api.Refused, "service %s: sessions of the last rehearsal have not ended yet: %d", shadowName, c.leftOf(s))
	}
	for socket := range c.image.Listeners {
		if probe.ShadowNet.Contains(socket.Addr) {
			return nil, api.Errorf(api.Refused, "VIP %s is of %s, which rehearsals use", socket.Addr, probe.ShadowNet)
		}
	}
	s := config.Service{
		Name: shadowName, Forwarding: config.NAT, Affinity: config.AffinityFlow, Timeouts: shadowTimeouts, MSS: config.MSSKeep,
		OnBackendLoss: config.LossKeep, Strategy: config.Session,
		Pools: map[config.Colour]config.Pool{
			config.Blue:  shadowPool(v.From.Version, config.Backend{Addresses: []netip.Addr{probe.ShadowBlue}}),
			config.Green: shadowPool(v.To.Version, config.Backend{Addresses: []netip.Addr{probe.ShadowGreen}}),
		},
	}
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		s.Listeners = append(s.Listeners, config.Listener{VIP: probe.ShadowVIP, Protocol: p, First: probe.ShadowPort, Last: probe.ShadowPort})
	}
	next := *c.cfg
	next.Services = append(slices.Clone(next.Services), s)
	next.Interfaces = append(slices.Clone(next.Interfaces), shadowInterfaces...)
	return &next, nil
}

func shadowPool(version string, b config.Backend) config.Pool {
	b.Weight = config.DefaultWeight
	return config.Pool{Version: version, Backends: []config.Backend{b}}
}

func (c *Controller) leftOf(service uint16) (n uint64) {
	for _, g := range c.image.GenerationsOf(service) {
		n += c.sessions(g).Total
	}
	return n
}

// withoutShadow is the configuration that is applied, without it.
func (c *Controller) withoutShadow() *config.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.cfg
	next.Services = slices.DeleteFunc(slices.Clone(next.Services), func(s config.Service) bool { return s.Name == shadowName })
	next.Interfaces = slices.DeleteFunc(slices.Clone(next.Interfaces), isShadows)
	return &next
}

func isShadows(iface string) bool { return slices.Contains(shadowInterfaces, iface) }

// applyShadow applies the configuration that is wanted, with no reload in between.
func (c *Controller) applyShadow(ctx context.Context, act api.Act, wanted func() (*config.Config, error)) error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	cfg, err := wanted()
	if err != nil {
		return err
	}
	_, err = c.apply(ctx, actRehearse, act, cfg)
	return err
}

// castShadow puts the shadow of a service into the kernel, and waits until both its backends have a next hop.
func (c *Controller) castShadow(ctx context.Context, act api.Act, v api.Verification) error {
	if err := c.applyShadow(ctx, act, func() (*config.Config, error) { return c.withShadow(v) }); err != nil {
		return err
	}
	return c.await(ctx, "next hops of the shadow's backends", func() string {
		service, _ := c.image.ServiceNamed(shadowName)
		for _, g := range c.image.GenerationsOf(service) {
			if !c.reachable(g, kernel.IPv4) {
				return fmt.Sprintf("generation %d has none", c.image.Generations[g].Number)
			}
		}
		return ""
	})
}

// liftShadow takes it out again: its listeners at once, and all else when the kernel counts none of its sessions.
func (c *Controller) liftShadow(ctx context.Context, act api.Act) error {
	c.sweepSoon()
	if err := c.await(ctx, "the end of the shadow's sessions", func() string {
		if service, there := c.image.ServiceNamed(shadowName); there && c.leftOf(service) > 0 {
			return fmt.Sprintf("%d are left", c.leftOf(service))
		}
		return ""
	}); err != nil {
		return err
	}
	if err := c.applyShadow(ctx, act, func() (*config.Config, error) { return c.withoutShadow(), nil }); err != nil {
		return err
	}
	return c.await(ctx, "the end of the shadow", func() string {
		if _, there := c.image.ServiceNamed(shadowName); there {
			return "it is still in the kernel"
		}
		return ""
	})
}

// shadowPatience is the most that a step of a rehearsal waits for, and shadowLook how often it looks: sessions end, and hops
// are found, by no word of anybody's.
const (
	shadowPatience = 40 * time.Second
	shadowLook     = 50 * time.Millisecond
)

// await waits until nothing is missing any more. The lock is held while missing runs.
func (c *Controller) await(ctx context.Context, what string, missing func() string) error {
	ctx, cancel := context.WithTimeout(ctx, shadowPatience)
	defer cancel()
	ticker := time.NewTicker(shadowLook)
	defer ticker.Stop()
	for {
		c.mu.Lock()
		left, err := missing(), c.there()
		c.mu.Unlock()
		if err != nil || left == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %s", what, ctx.Err(), left)
		case <-ticker.C:
		}
	}
}

// forgetShadow takes the shadow out of the state file when the kernel has it no more: its name comes back as another's.
func (c *Controller) forgetShadow() error {
	_, there := c.image.ServiceNamed(shadowName)
	if _, known := c.state.Services[shadowName]; there || !known {
		return nil
	}
	return c.save(c.image)
}
