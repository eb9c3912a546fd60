package control

import (
	"context"
	"fmt"
	stdmaps "maps"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Testers adds and removes the operator's testers of a service, and lists all. The state file comes first: they outlive
// a reboot.
func (c *Controller) Testers(ctx context.Context, req api.TestersRequest) (api.Testers, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, err := c.service(req.Service)
	if err != nil {
		return api.Testers{}, err
	}
	if len(req.Add)+len(req.Remove) == 0 {
		return c.testers(service), nil
	}
	if err := c.there(); err != nil {
		return api.Testers{}, err
	}
	testers, err := c.changedTesters(service, req)
	if err != nil {
		return api.Testers{}, err
	}
	if err := c.unlocked(ctx, req.Act, req.Service); err != nil {
		return api.Testers{}, err
	}
	after := testersOf(testers, service)
	after.Added, after.Removed = firstOf(req.Add), firstOf(req.Remove)
	a, err := c.begin(ctx, actTesters, req.Service, req.Reason, c.testersNow(service), after)
	if err != nil {
		return api.Testers{}, err
	}
	want := c.image.WithTesters(testers)
	if err = c.save(want); err == nil {
		err = c.write(want)
	}
	a.end(after, err)
	if err != nil {
		return api.Testers{}, err
	}
	c.changed()
	return c.testers(service), nil
}

// changedTesters is all testers after a request. It changes all or nothing.
func (c *Controller) changedTesters(service uint16, req api.TestersRequest) (map[kernel.Tester]kernel.TesterOrigin, error) {
	testers := stdmaps.Clone(c.image.Testers)
	add, remove, err := req.Prefixes()
	if err != nil {
		return nil, err
	}
	families := c.image.Families(service)
	for _, p := range add {
		if f := familyOf(p.Addr()); !families[f] {
			return nil, api.Errorf(api.Refused, "service %s: tester %s: the service has no %s listener", req.Service, p, familyName(f))
		}
		testers[kernel.Tester{Service: service, Prefix: p}] |= kernel.FromOperator
	}
	for _, p := range remove {
		t := kernel.Tester{Service: service, Prefix: p}
		switch by := testers[t]; {
		case by == 0:
			return nil, api.Errorf(api.NotFound, "service %s: %s is no tester", req.Service, p)
		case by == kernel.FromFile:
			return nil, api.Errorf(api.Refused, "service %s: tester %s is of the configuration file: take it out there and reload", req.Service, p)
		case by&kernel.FromFile != 0:
			testers[t] = kernel.FromFile
		default:
			delete(testers, t)
		}
	}
	if err := image.CheckTesters(testers); err != nil {
		return nil, api.Errorf(api.Refused, "%s", err)
	}
	return testers, nil
}

// testers lists those of a service, in order, and says where they go.
func (c *Controller) testers(service uint16) api.Testers {
	s := c.image.Services[service]
	out := api.Testers{Service: s.Name, Candidate: c.candidate(service), Testers: []api.Tester{}}
	for _, p := range c.image.TestersBy(kernel.FromOperator | kernel.FromFile)[service] {
		by := c.image.Testers[kernel.Tester{Service: service, Prefix: p}]
		out.Testers = append(out.Testers, api.Tester{
			Prefix: p.String(), Operator: by&kernel.FromOperator != 0, File: by&kernel.FromFile != 0,
		})
	}
	return out
}

// candidate is what is staged, nil when nothing is.
func (c *Controller) candidate(service uint16) *api.GenerationRef {
	g := c.image.Services[service].Steer.Candidate
	if g == 0 {
		return nil
	}
	ref := c.ref(g)
	return &ref
}

// endCandidacy takes a candidate out of the steer word that a reload, cut short, had begun to retire.
func (c *Controller) endCandidacy(service uint16) {
	steer := c.image.Services[service].Steer
	g := steer.Candidate
	if rec := c.image.Generations[g]; g == 0 || rec.State == kernel.Candidate && rec.Colour != kernel.NoColour {
		return
	}
	steer.Candidate, steer.Share = 0, 0
	c.setSteer(service, steer, "resume: candidate")
}

// release says what a reload changes of testers, and that a share ends with its candidate.
func (d *describer) release(service uint16, name string) {
	was, is := d.have.Services[service].Steer, d.want.Services[service].Steer
	if was.Share != 0 && was.Candidate != is.Candidate {
		d.add(name, "generation %d no longer takes %s of the clients", d.have.Generations[was.Candidate].Number, api.Percent(was.Share))
	}
	for _, change := range d.testers[service] {
		d.add(name, "%s", change)
	}
}

func testerChanges(have, want *image.Image) map[uint16][]string {
	out := map[uint16][]string{}
	for t := range want.Testers {
		if _, had := have.Testers[t]; !had {
			out[t.Service] = append(out[t.Service], fmt.Sprintf("new tester %s", t.Prefix))
		}
	}
	for t := range have.Testers {
		if _, keeps := want.Testers[t]; !keeps {
			out[t.Service] = append(out[t.Service], fmt.Sprintf("tester %s is removed", t.Prefix))
		}
	}
	return out
}
