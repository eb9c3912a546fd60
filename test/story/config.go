package story

import (
	"fmt"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// The services, and where their players go.
var (
	services = []string{"infra", "payments", "raid", "world", "zones"}

	world    = []game.Endpoint{game.TCP(lab.VIP4, 7777), game.UDP(lab.VIP4, 7777)}
	payments = []game.Endpoint{game.TCP(lab.VIP4, 8443)}
	raid     = []game.Endpoint{game.UDP(lab.VIP4, 9000)}
	zones    = []game.Endpoint{game.UDP(lab.VIP4, 9100)}
	infra    = []game.Endpoint{game.TCP(lab.VIP4, 5432)}
)

const (
	stragglers = 3 // at which the notice goes out
	deadline   = "45s"
	updateTime = time.Second
)

// yaml is the configuration, with the blue pools of the world in a version.
func (s *Story) yaml(blue string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "interfaces: [%s]\nmax_flows: 65536\nservices:\n", strings.Join(s.lab.Interfaces(), ", "))
	s.service(&b, "world", world, blue, "2.0", fmt.Sprintf(`
    affinity: client
    strategy: session
    release:
      bake: 2s
      deadline: %s
      notice: {at: [%d sessions]}
      migrate: {batch: 2, every: 100ms}
      hooks: {notice: %[3]s, retire: %[3]s, backup: %[3]s, clone: %[3]s, stage: %[3]s}`, deadline, stragglers, s.tee("world")))
	s.service(&b, "payments", payments, "1.9", "2.0", fmt.Sprintf(`
    strategy: instant
    release:
      bake: 2s
      gates: [{name: books-balance, webhook: {url: "%s"}, on_fail: rollback}]`, s.quality.URL()))
	s.service(&b, "raid", raid, "1.9", "2.0", `
    strategy: canary
    release:
      bake: 2s
      steps: [{share: 5%, for: 2s}, {share: 25%, for: 2s}]
      gates: [{approval: raid-lead}]`)
	s.service(&b, "zones", zones, "1.9", "", fmt.Sprintf(`
    strategy: rolling
    release:
      batch: 1
      hooks: {update: [{exec: [/usr/bin/tee, -a, %q]}, {exec: [/bin/sleep, "%g"]}]}`, s.told("zones"), updateTime.Seconds()))
	s.service(&b, "infra", infra, "1.9", "", fmt.Sprintf(`
    strategy: in-place
    release:
      busy: reset
      window: 5s
      migrate: {batch: 50, every: 100ms}
      hooks: {update: %s}`, s.tee("infra")))
	return b.String()
}

func (s *Story) service(b *strings.Builder, name string, at []game.Endpoint, blue, green, more string) {
	fmt.Fprintf(b, "  %s:\n    listeners:\n", name)
	for _, e := range at {
		fmt.Fprintf(b, "      - {vip: %q, protocol: %s, port: %d}\n", e.Addr.Addr(), e.Network, e.Addr.Port())
	}
	fmt.Fprintf(b, "    forwarding: dsr\n    timeouts: %s%s\n    pools:\n", timeouts, more)
	s.pool(b, "blue", blue)
	if green != "" {
		s.pool(b, "green", green)
	}
}

func (s *Story) pool(b *strings.Builder, colour, version string) {
	fmt.Fprintf(b, "      %s:\n        version: %q\n        backends:\n", colour, version)
	for _, be := range s.lab.Backends {
		if be.Colour == colour {
			fmt.Fprintf(b, "          - {address: [%s, %q]}\n", be.V4, be.V6)
		}
	}
}
