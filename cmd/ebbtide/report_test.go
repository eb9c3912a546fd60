package main

import (
	"context"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestReport(t *testing.T) {
	var asked api.ReportRequest
	moved := uint64(3)
	released := &apitest.Fake{OnReport: func(_ context.Context, req api.ReportRequest) (api.Report, error) {
		asked = req
		return api.Report{
			Service: "world", Release: 7, Strategy: "session", State: "done", From: blue3, To: green4, By: "ops", Begun: noon, Moved: &moved,
			Timeline: []api.ReportEntry{{Event: 8, At: noon, By: "ops", Act: "flip", What: "from blue to green", Outcome: "done", Reason: "a|b <c>"}},
		}, nil
	}}
	check(t, "report", []row{
		{name: "of a release", args: "report world", daemon: released},
		{name: "as html", args: "report world -o html", daemon: released},
		{name: "as json", args: "report world --release 7 -o json", daemon: released},
		{name: "as yaml", args: "report world -o yaml", daemon: released, code: exitUsage},
	})
	if want := (api.ReportRequest{Service: "world", Release: 7}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}
