package control

import (
	"context"
	"errors"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/report"
)

// beforeRelease is how much of the time before a release its report shows.
const beforeRelease = 10 * time.Minute

// Report implements api.Controller. It reads the whole journal, and holds nothing up meanwhile.
func (c *Controller) Report(_ context.Context, req api.ReportRequest) (api.Report, error) {
	var events []journal.Event
	_, err := c.opt.Journal.Read(0, func(e journal.Event) error {
		if e.Service == req.Service || e.Service == "" {
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return api.Report{}, err
	}
	r, err := report.Build(req.Service, req.Release, events, nil)
	switch {
	case errors.Is(err, report.ErrNone) && req.Release != 0:
		return r, api.Errorf(api.NotFound, "service %s: the journal has no release %d", req.Service, req.Release)
	case errors.Is(err, report.ErrNone):
		return r, api.Errorf(api.NotFound, "service %s: the journal has no release and no flip", req.Service)
	case err != nil || c.opt.Samples == "":
		return r, err
	}
	samples, err := report.ReadSamples(c.opt.Samples, req.Service, r.Begun.Add(-beforeRelease))
	if err != nil {
		return r, err
	}
	return report.Build(req.Service, req.Release, events, samples)
}
