package host

import (
	"fmt"
	"strings"

	"github.com/ebbtide/ebbtide/test/lab"
)

// Service is one service of a configuration for a lab: its backends are the lab's, by colour.
type Service struct {
	Name      string
	Listeners []string // YAML flow mappings
	Timeouts  string   // YAML flow mapping; empty: the defaults
	Affinity  string   // YAML; empty: the default
	Limits    string   // YAML flow mapping; empty: none
	Release   string   // YAML flow mapping; empty: the defaults
	Group     string   // empty: none
	Versions  map[string]string
}

// YAML is a configuration for the lab: every backend of a colour in the pool of that colour, blue 1.9 and green 2.0
// unless the service says otherwise.
func YAML(l *lab.Lab, forwarding lab.Forwarding, maxFlows int, services ...Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "interfaces: [%s]\nmax_flows: %d\nservices:\n", strings.Join(l.Interfaces(), ", "), maxFlows)
	for _, s := range services {
		fmt.Fprintf(&b, "  %s:\n    listeners:\n", s.Name)
		for _, listener := range s.Listeners {
			fmt.Fprintf(&b, "      - %s\n", listener)
		}
		fmt.Fprintf(&b, "    forwarding: %s\n", forwarding)
		if s.Timeouts != "" {
			fmt.Fprintf(&b, "    timeouts: %s\n", s.Timeouts)
		}
		if s.Affinity != "" {
			fmt.Fprintf(&b, "    affinity: %s\n", s.Affinity)
		}
		if s.Limits != "" {
			fmt.Fprintf(&b, "    limits: %s\n", s.Limits)
		}
		if s.Release != "" {
			fmt.Fprintf(&b, "    release: %s\n", s.Release)
		}
		if s.Group != "" {
			fmt.Fprintf(&b, "    group: %s\n", s.Group)
		}
		b.WriteString("    pools:\n")
		for _, colour := range []string{"blue", "green"} {
			pool(&b, l, colour, s.Versions[colour])
		}
	}
	return b.String()
}

func pool(b *strings.Builder, l *lab.Lab, colour, version string) {
	if version == "" {
		version = map[string]string{"blue": "1.9", "green": "2.0"}[colour]
	}
	fmt.Fprintf(b, "      %s:\n        version: %q\n        backends:\n", colour, version)
	for _, be := range l.Backends {
		if be.Colour == colour {
			fmt.Fprintf(b, "          - {address: [%s, %q]}\n", be.V4, be.V6)
		}
	}
}
