package host

import (
	"log/slog"

	"github.com/ebbtide/ebbtide/loader"
)

// Plane opens what is pinned, beside the daemon, which is not upgrading. The caller closes it.
func (h *Host) Plane() (*loader.Plane, error) {
	spec, err := specOf(h.opt)
	if err != nil {
		return nil, err
	}
	return loader.Open(loader.Options{Dir: h.opt.BPFDir, MaxFlows: 1024, Spec: spec, Logger: slog.New(slog.DiscardHandler)})
}
