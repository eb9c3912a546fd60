package control

import (
	"context"
	"maps"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Share sets which part of the clients' new sessions the candidate gets, when it is told to, and says who goes where.
func (c *Controller) Share(ctx context.Context, req api.ShareRequest) (api.Share, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, err := c.service(req.Service)
	if err != nil {
		return api.Share{}, err
	}
	steer := c.image.Services[service].Steer
	if steer.Candidate == 0 {
		return api.Share{}, api.Errorf(api.Refused, "service %s: there is no candidate to share clients with: give the idle colour a new version and reload", req.Service)
	}
	if req.TenThousandths != nil {
		if err := c.maySetShare(service, req); err != nil {
			return api.Share{}, err
		}
		if err := c.noStepping(req.Service); err != nil {
			return api.Share{}, err
		}
		unlocked := c.unlocked
		if *req.TenThousandths == 0 { // the end of a canary is its rollback
			unlocked = c.unlockedByHand
		}
		if err := unlocked(ctx, req.Act, req.Service); err != nil {
			return api.Share{}, err
		}
		if err := c.journaledShare(ctx, service, req.Reason, *req.TenThousandths); err != nil {
			return api.Share{}, err
		}
	}
	canary, err := c.canary(service, c.image.TesterCounts()[service])
	if err != nil {
		return api.Share{}, err
	}
	return api.Share{Service: req.Service, Live: c.ref(steer.Live), Canary: *canary}, nil
}

// journaledShare sets a share between its two events.
func (c *Controller) journaledShare(ctx context.Context, service uint16, reason string, share uint16) error {
	s := c.image.Services[service]
	want := shareIs{c.ref(s.Steer.Candidate), share}
	a, err := c.begin(ctx, actShare, s.Name, reason, c.shareNow(service), want)
	if err != nil {
		return err
	}
	err = c.setShare(service, share)
	a.end(want, err)
	return err
}

// maySetShare refuses a share for a candidate that could not serve it.
func (c *Controller) maySetShare(service uint16, req api.ShareRequest) error {
	if err := c.there(); err != nil || *req.TenThousandths == 0 || req.Force {
		return err
	}
	return c.usable(service, c.image.Services[service].Steer.Candidate)
}

// setShare stores the steer word, after the state file, and waits for the packets that had read the old one.
func (c *Controller) setShare(service uint16, share uint16) error {
	s := c.image.Services[service]
	s.Steer.Share = share
	next := stateOf(c.image.WithService(service, s), c.state)
	rec := next.Services[s.Name]
	var err error
	if rec.Share, err = c.shareMark(s.Steer); err != nil {
		return err
	}
	next.Services[s.Name] = rec
	if err := c.saveState(next); err != nil {
		return err
	}
	c.setSteer(service, s.Steer, "share: store")
	c.step("share: barrier")
	if _, err := c.plane.Barrier(); err != nil {
		return err
	}
	c.log.Info("share", "service", s.Name, "generation", rec.Share.Generation, "share", api.Percent(share))
	c.changed()
	return nil
}

// shareMark is a share that is set now.
func (c *Controller) shareMark(steer kernel.Steer) (*state.Share, error) {
	on, err := c.plane.Tables.Counters(steer.Candidate)
	if err != nil {
		return nil, err
	}
	live, err := c.plane.Tables.Counters(steer.Live)
	if err != nil {
		return nil, err
	}
	return &state.Share{
		Generation: c.image.Generations[steer.Candidate].Number, TenThousandths: steer.Share, Since: c.opt.Now().UTC(),
		OnCandidate: on.New, OnLive: live.New,
	}, nil
}

// canary is what the candidate of a service gets, by the kernel's counts; nil without a candidate.
func (c *Controller) canary(service uint16, testers int) (*api.Canary, error) {
	s := c.image.Services[service]
	if s.Steer.Candidate == 0 {
		return nil, nil
	}
	out := &api.Canary{Candidate: c.ref(s.Steer.Candidate), TenThousandths: s.Steer.Share, Testers: testers}
	now, err := c.shareMark(s.Steer)
	if err != nil {
		return nil, err
	}
	mark := c.state.Services[s.Name].Share
	if mark == nil {
		return out, nil
	}
	out.Since = &mark.Since
	out.NewOnCandidate, out.NewOnLive = now.OnCandidate-mark.OnCandidate, now.OnLive-mark.OnLive
	if all := out.NewOnCandidate + out.NewOnLive; all > 0 {
		part := 100 * float64(out.NewOnCandidate) / float64(all)
		out.Realised = &part
	}
	return out, nil
}

// shareOf is what the state file says of the share in an image. The kernel's is the truth; the marks are of when it was
// last set.
func shareOf(im *image.Image, s image.Service, old *state.Share) *state.Share {
	if s.Steer.Candidate == 0 || old == nil || old.Generation != im.Generations[s.Steer.Candidate].Number {
		return nil
	}
	out := *old
	out.TenThousandths = s.Steer.Share
	return &out
}

// recount begins the counts since a share was set anew: after a reboot the kernel's begin at 0.
func (c *Controller) recount() error {
	if c.plane.Adopted {
		return nil
	}
	next := c.state
	next.Services = maps.Clone(next.Services)
	for name, s := range next.Services {
		if s.Share != nil {
			share := *s.Share
			share.Since, share.OnCandidate, share.OnLive = c.opt.Now().UTC(), 0, 0
			s.Share = &share
			next.Services[name] = s
		}
	}
	return c.saveState(next)
}
