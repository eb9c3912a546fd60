package operate

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestMetricsCountThePlayersOfEachGenerationAndState(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{timeouts: calm, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	s.mustRun(t)
	s.login(t, "blue")
	s.login(t, "blue")
	s.awaitFlows(t, 8, "--generation", "1", "--state", "established")
	s.do(t, "flip", "world").mustBe(t, 0, proof(green2, blue1, "8"), "")
	s.mustSay(t, "green", 1) // one packet of UDP proves nothing: it is half open
	s.mustSay(t, "green", 2)
	s.swept(t)
	have := s.scrape(t)
	for name, want := range map[string]float64{
		sessions(1, "blue", "established"):                                                                     8,
		sessions(1, "blue", "young"):                                                                           0,
		sessions(2, "green", "half_open"):                                                                      2,
		sessions(2, "green", "young"):                                                                          6,
		sessions(2, "green", "established"):                                                                    0,
		`ebbtide_new_sessions_total{colour="blue",generation="1",service="world"}`:                             8,
		`ebbtide_new_sessions_total{colour="green",generation="2",service="world"}`:                            8,
		`ebbtide_new_sessions_after_flip{generation="1",service="world"}`:                                      0,
		`ebbtide_generation_info{colour="blue",generation="1",service="world",state="draining",version="1.9"}`: 1,
		`ebbtide_generation_info{colour="green",generation="2",service="world",state="live",version="2.0"}`:    1,
		`ebbtide_drops_total{reason="no_generation"}`:                                                          0,
	} {
		if n, there := have[name]; !there || n != want {
			t.Errorf("%s is %v (there: %v), want %v", name, n, there, want)
		}
	}
	for _, what := range []string{"packets", "bytes"} {
		for _, generation := range []string{`colour="blue",generation="1"`, `colour="green",generation="2"`} {
			_, number, _ := strings.Cut(generation, ",")
			of := sum(have, "ebbtide_backend_"+what+"_total{", number)
			if all := sum(have, "ebbtide_"+what+"_total{", generation); of != all || all == 0 {
				t.Errorf("the backends of %s were sent %v %s, the generation %v", number, of, what, all)
			}
		}
	}
	s.mustBeWhole(t)
	s.mustExplainDrops(t)
}

// sum of a metric's series that have these labels.
func sum(have map[string]float64, metric, labels string) (all float64) {
	for name, n := range have {
		if strings.HasPrefix(name, metric) && strings.Contains(name, labels) {
			all += n
		}
	}
	return all
}

// mustExplainDrops asks the daemon for every reason there is. Requests for MAC addresses were passed to the kernel, at least.
func (s *stage) mustExplainDrops(t *testing.T) {
	t.Helper()
	counts := map[string]uint64{}
	decode(t, s.do(t, "drops", "--all", "--interval", "100ms", "-o", "json"), func(d api.Drops) {
		if d.IntervalSeconds < 0.1 {
			t.Errorf("the rates are over %v seconds", d.IntervalSeconds)
		}
		for _, r := range d.Reasons {
			counts[r.Reason] = r.Count
		}
	})
	if len(counts) != len(maps.ReasonTexts()) || counts["pass_not_ip"] == 0 {
		t.Errorf("drops counts %v", counts)
	}
}

func sessions(generation int, colour, state string) string {
	return fmt.Sprintf(`ebbtide_sessions{colour=%q,generation="%d",service="world",state=%q}`, colour, generation, state)
}

// scrape reads the metrics as Prometheus does, from the loopback of the load balancer.
func (s *stage) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	at := netip.MustParseAddrPort("127.0.0.1:9595")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.lab.LB.Dial(ctx, "tcp", at)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + at.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	found := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil {
			found[name+"}"] = n
		}
	}
	return found
}
