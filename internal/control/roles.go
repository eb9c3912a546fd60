package control

import (
	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// rolesOf are the roles of a generation, what it does first. One that is drained has none but stable.
func (c *Controller) rolesOf(g uint16) (roles []string) {
	rec := c.image.Generations[g]
	switch rec.State {
	case kernel.Candidate:
		roles = append(roles, api.RoleCandidate)
	case kernel.Live:
		roles = append(roles, api.RoleLive)
	case kernel.Draining:
		roles = append(roles, api.RoleDraining)
	}
	if c.stable(rec.Service) == g {
		roles = append(roles, api.RoleStable)
	}
	return roles
}

// stable is the generation of a service that last passed its bake, 0 for none. Where no release ever passed one, nobody has
// judged: then it is what a rollback goes to, or else what is live.
func (c *Controller) stable(service uint16) uint16 {
	number := c.state.Services[c.image.Services[service].Name].Stable
	for _, g := range c.image.GenerationsOf(service) {
		if number != 0 && c.image.Generations[g].Number == number {
			return g
		}
	}
	if g, ok := c.wayBack(service); ok {
		return g
	}
	return c.image.Services[service].Steer.Live
}

// wayBack is the generation that a rollback goes to.
func (c *Controller) wayBack(service uint16) (uint16, bool) {
	for _, g := range c.image.GenerationsOf(service) {
		rec := c.image.Generations[g]
		if rec.Colour != kernel.NoColour && (rec.State == kernel.Draining || rec.State == kernel.Drained) {
			return g, true
		}
	}
	return 0, false
}
