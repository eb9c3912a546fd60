package control

import (
	"net/netip"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// settings is what the program is told for all services.
type settings struct {
	echo    bool
	limit   uint32          // answers of each kind, a CPU and tick
	sources [2]netip.Prefix // of outer headers, by their family; invalid: none
}

// settingsOf a file. An outer source that it no longer has stays: sessions of a service that was removed may still be
// carried.
func (c *Controller) settingsOf(cfg *config.Config) (settings, error) {
	cpus, err := loader.OnlineCPUs()
	if err != nil {
		return settings{}, err
	}
	s := settings{echo: cfg.Echo, limit: limitOf(cfg.Answers, cpus, c.plane.Ticks), sources: c.settings().sources}
	for f, source := range [2]netip.Prefix{kernel.IPv4: cfg.OuterSource.IPv4, kernel.IPv6: cfg.OuterSource.IPv6} {
		if source.IsValid() {
			s.sources[f] = source
		}
	}
	return s, nil
}

// limitOf shares the answers of a second out among the CPUs; none of them is left without.
func limitOf(answers uint32, cpus int, ticks loader.Ticks) uint32 {
	if answers == 0 {
		return ticks.Rate(loader.AnswersEachCPU)
	}
	return ticks.Rate(float64(answers) / float64(cpus))
}

// settings are those of the kernel.
func (c *Controller) settings() settings {
	t := c.plane.Tables
	return settings{
		echo: t.Echo(), limit: t.Limit(kernel.LimitedEcho), sources: [2]netip.Prefix{t.OuterSource(kernel.IPv4), t.OuterSource(kernel.IPv6)},
	}
}

// setSettings writes what differs. It comes before the backends that need an outer source.
func (c *Controller) setSettings(want settings) {
	t, have := c.plane.Tables, c.settings()
	if have == want {
		return
	}
	c.step("settings")
	t.SetEcho(want.echo)
	for _, kind := range kernel.EveryLimited() { // all have one limit
		t.SetLimit(kind, want.limit)
	}
	for f, source := range want.sources {
		if source != have.sources[f] {
			t.SetOuterSource(source)
		}
	}
}

// settings says which of them would change.
func (d *describer) settings(have, want settings) {
	if have.echo != want.echo {
		d.add("", "echo from %t to %t", have.echo, want.echo)
	}
	if have.limit != want.limit {
		d.add("", "answers from %d to %d of each kind, a CPU and tick", have.limit, want.limit)
	}
	for f, source := range want.sources {
		switch was := have.sources[f]; {
		case was == source:
		case was.IsValid():
			d.add("", "ipip.source from %s to %s", was, source)
		default:
			d.add("", "ipip.source %s", source)
		}
	}
}
