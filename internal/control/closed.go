package control

import (
	"context"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// CloseService tells whoever begins a session with a service from now on that it is busy. Sessions in progress stay, and testers
// may come. A service that is closed is closed anew, with another answer.
func (c *Controller) CloseService(ctx context.Context, req api.CloseRequest) (api.Closed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := kernel.BusyReset
	if req.Answer == api.AnswerICMP {
		answer = kernel.BusyICMP
	}
	return c.setClosed(ctx, actClose, req.Service, req.Act, answer, true)
}

// OpenService lets a service take new sessions again.
func (c *Controller) OpenService(ctx context.Context, req api.OpenRequest) (api.Closed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setClosed(ctx, actOpen, req.Service, req.Act, kernel.BusyReset, false)
}

// setClosed is either at somebody's word. The lock is held.
func (c *Controller) setClosed(ctx context.Context, what, name string, act api.Act, answer kernel.Busy, closed bool) (api.Closed, error) {
	if err := c.there(); err != nil {
		return api.Closed{}, err
	}
	service, err := c.service(name)
	if err == nil {
		err = c.noClosing(name)
	}
	if err != nil {
		return api.Closed{}, err
	}
	return c.journaledClosed(ctx, what, service, act, answer, closed)
}

// journaledClosed is either between its two events. What is so already is no error, and not journaled.
func (c *Controller) journaledClosed(ctx context.Context, what string, service uint16, act api.Act, answer kernel.Busy, closed bool) (api.Closed, error) {
	name := c.image.Services[service].Name
	want := c.image.Services[service]
	if want.Steer.Live == 0 {
		return api.Closed{}, api.Errorf(api.Refused, "service %s: it is no longer in the file, and takes no new sessions", name)
	}
	was := closedOf(want)
	if want.Steer.Busy = closed; closed {
		want.Busy = answer
	}
	is := closedOf(want)
	if is == was {
		return c.shownClosed(service), nil
	}
	if err := c.unlocked(ctx, act, name); err != nil {
		return api.Closed{}, err
	}
	a, err := c.begin(ctx, what, name, act.Reason, was, is)
	if err != nil {
		return api.Closed{}, err
	}
	err = c.storeClosed(service, want)
	a.end(is, err)
	return c.shownClosed(service), err
}

// storeClosed stores the answer and then the steer word, after the state file, and waits for the packets that had read the
// old one.
func (c *Controller) storeClosed(index uint16, want image.Service) error {
	if err := c.save(c.image.WithService(index, want)); err != nil {
		return err
	}
	c.step("close: answer")
	c.plane.Tables.PutService(index, want.Service)
	c.image = c.image.WithService(index, want)
	c.setSteer(index, want.Steer, "close: store")
	c.log.Info("new sessions", "service", want.Name, "closed", string(closedOf(want)))
	return c.restedNow(index)
}

// closedOf is what new sessions of a service are told; "" when they are taken.
func closedOf(s image.Service) state.Closed {
	switch {
	case !s.Steer.Busy:
		return ""
	case s.Busy == kernel.BusyICMP:
		return state.ClosedByICMP
	}
	return state.ClosedByReset
}

func (c *Controller) shownClosed(index uint16) api.Closed {
	s := c.image.Services[index]
	return api.Closed{Service: s.Name, Answer: string(closedOf(s)), Live: c.ref(s.Steer.Live)}
}
