package report

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// group is one of Prometheus' file-based service discovery.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// Targets writes the backends of an environment for Prometheus' file_sd, a group for each generation. With port 0 a target
// is an address alone.
func (e Environment) Targets(port uint16) ([]byte, error) {
	groups := []group{}
	for _, p := range e.Places {
		for _, g := range p.Generations {
			groups = append(groups, group{targets(g.Backends, port), map[string]string{
				"service": p.Service, "generation": strconv.FormatUint(uint64(g.Number), 10), "colour": g.Colour, "version": g.Version,
				"role": role(g), "stable": strconv.FormatBool(slices.Contains(g.Roles, api.RoleStable)),
			}})
		}
	}
	data, err := json.MarshalIndent(groups, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the targets: %w", err)
	}
	return append(data, '\n'), nil
}

// role is the one that says most of a generation: a target has one.
func role(g Resident) string {
	if len(g.Roles) > 0 {
		return g.Roles[0]
	}
	return g.State
}

// targets are the first address of each backend.
func targets(backends []Server, port uint16) []string {
	out := []string{}
	for _, b := range backends {
		address := b.Addresses[0]
		switch {
		case port != 0:
			address = net.JoinHostPort(address, strconv.Itoa(int(port)))
		case strings.Contains(address, ":"):
			address = "[" + address + "]"
		}
		out = append(out, address)
	}
	return out
}
