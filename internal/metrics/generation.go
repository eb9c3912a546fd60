package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ebbtide/ebbtide/internal/api"
)

func collectGeneration(out chan<- prometheus.Metric, service string, g api.Generation) {
	number := strconv.FormatUint(uint64(g.Number), 10)
	for _, c := range []struct {
		desc  desc
		value uint64
	}{
		{packets, g.Packets},
		{bytes, g.Bytes},
		{newSessions, g.New},
		{orphans, g.Orphans},
		{reopened, g.Reopened},
		{unpinned, g.Unpinned},
	} {
		c.desc.send(out, float64(c.value), service, number, g.Colour)
	}
	for _, s := range []struct {
		state string
		value uint64
	}{
		{"half_open", g.Sessions.HalfOpen},
		{"young", g.Sessions.Young},
		{"established", g.Sessions.Established},
		{"closing", g.Sessions.Closing},
	} {
		sessions.send(out, float64(s.value), service, number, g.Colour, s.state)
	}
	if flippedAway(g.State) {
		newAfterFlip.send(out, float64(g.NewSinceFlip), service, number)
	}
	generationInfo.send(out, 1, service, number, g.Colour, g.Version, g.State)
}

// flippedAway says that a generation was live and is no more.
func flippedAway(state string) bool {
	return state == api.StateDraining || state == api.StateDrained || state == api.StateInconclusive
}
