package story

import (
	"context"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/report"
)

// reportOf is the report of a service's newest release.
func (s *Story) reportOf(ctx context.Context, service string) ([]byte, error) {
	r, err := s.host.Client.Report(ctx, api.ReportRequest{Service: service})
	if err != nil {
		return nil, err
	}
	return report.HTML(r)
}
