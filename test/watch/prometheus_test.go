package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	metricsAddr    = "127.0.0.1:9595"
	prometheusAddr = "127.0.0.1:9090"
)

// prometheus is one that scrapes the daemon, on the loopback of the load balancer.
type prometheus struct {
	client http.Client
}

// mustScrapeEachSecond starts a Prometheus with the rules that ship.
func mustScrapeEachSecond(t *testing.T, l *lab.Lab) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(l.Dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs:\n  - job_name: ebbtide\n    static_configs: [{targets: [%q]}]\n", rules, metricsAddr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(l.Dir, "prometheus.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(mustFind(t, "prometheus"), "--config.file="+config, "--web.listen-address="+prometheusAddr,
		"--storage.tsdb.path="+filepath.Join(l.Dir, "tsdb"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := l.LB.Start(cmd); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-over
	})
	at := netip.MustParseAddrPort(prometheusAddr)
	p := &prometheus{http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return l.LB.Dial(ctx, "tcp", at)
	}}}}
	lab.Eventually(t, "Prometheus to be ready", func() bool {
		select {
		case err := <-over:
			t.Fatalf("Prometheus ended: %v\n%s", err, mustRead(t, log.Name()))
		default:
		}
		resp, err := p.client.Get("http://" + prometheusAddr + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// get asks Prometheus' API; an answer that is an error fails the test.
func (p *prometheus) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	resp, err := p.client.Get("http://" + prometheusAddr + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Fatalf("%s %v: %s", path, query, answer.Error)
	}
}

// sample is a series at a moment.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query gives what there is now, without what is no number.
func (p *prometheus) query(t *testing.T, expr string) (out []sample) {
	t.Helper()
	var data struct{ Result []sample }
	p.get(t, "query", url.Values{"query": {expr}}, &data)
	for _, s := range data.Result {
		text, _ := s.Value[1].(string)
		if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) {
			out = append(out, s)
		}
	}
	return out
}

// await waits until a query has something to show.
func (p *prometheus) await(t *testing.T, what, expr string) {
	t.Helper()
	lab.Eventually(t, what+": "+expr, func() bool { return len(p.query(t, expr)) > 0 })
}

// asGrafana puts the choice of all into a query, as Grafana does.
func asGrafana(expr string) string {
	return strings.NewReplacer("$instance", ".*", "$service", ".*", "$__rate_interval", "10s").Replace(expr)
}
