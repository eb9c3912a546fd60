package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Held is what a daemon holds.
type Held struct {
	PID        int
	Resident   float64 // bytes
	Files      float64
	Goroutines float64
	Err        error
}

func (h Held) String() string {
	if h.Err != nil {
		return h.Err.Error()
	}
	return fmt.Sprintf("%.1f MiB, %.0f files, %.0f goroutines", h.Resident/(1<<20), h.Files, h.Goroutines)
}

// held asks the daemon, as Prometheus does.
func (s *soak) held() (h Held) {
	h.PID = s.host.PID()
	at := netip.MustParseAddrPort(s.Options.Host.Metrics)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.lab.LB.Dial(ctx, "tcp", at) }}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get("http://" + at.String() + "/metrics")
	if err != nil {
		h.Err = err
		return h
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		h.Err = fmt.Errorf("read the metrics: %w", err)
		return h
	}
	for name, to := range map[string]*float64{"process_resident_memory_bytes": &h.Resident, "process_open_fds": &h.Files, "go_goroutines": &h.Goroutines} {
		if m := families[name].GetMetric(); len(m) == 1 {
			*to = m[0].GetGauge().GetValue()
		}
	}
	return h
}

// Most that a daemon may hold at the end beyond what it held when nobody killed it any more: what comes and goes with a
// request or a sweep. A leak of one a tide is more within minutes.
const (
	moreFiles      = 10
	moreGoroutines = 10
	moreResident   = 48 << 20 // the heap of a collector that has not run yet
)

// Grown says what has grown.
func (f Figures) Grown() error {
	switch a, b := f.Begin, f.End; {
	case a.Err != nil || b.Err != nil:
		return fmt.Errorf("the daemon did not tell what it holds: %w", errors.Join(a.Err, b.Err))
	case a.PID == 0:
		return errors.New("the daemon did not tell what it holds: it was not asked")
	case a.PID != b.PID:
		return fmt.Errorf("the daemon of the last third died: it was process %d, and is %d", a.PID, b.PID)
	case b.Files > a.Files+moreFiles, b.Goroutines > a.Goroutines+moreGoroutines, b.Resident > a.Resident+moreResident:
		return fmt.Errorf("the daemon grows: %v at first, %v at the end", a, b)
	}
	return nil
}
