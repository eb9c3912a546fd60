// Package occupancy asks backends how many players they hold and how many more they take.
package occupancy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ebbtide/ebbtide/internal/plain"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 20

// Reading is what a backend says of itself.
type Reading struct {
	Players uint64
	Free    *uint64 // how many more it takes; nil: it does not say
}

// Full says whether a backend takes nobody more.
func (r Reading) Full() bool { return r.Free != nil && *r.Free == 0 }

// Names are what an answer calls its figures.
type Names struct{ Players, Free string }

// Ask asks at a URL. The answer is a JSON object, or Prometheus' text format, in which the series of a metric are added up.
// A redirect is not followed: it would be asked of somebody else.
func Ask(ctx context.Context, client *http.Client, address string, names Names) (Reading, error) {
	text, err := get(ctx, client, address)
	if err != nil {
		return Reading{}, plain.Error(err)
	}
	figure := metric
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '{' {
		figure = member
	}
	r, err := read(text, names, figure)
	return r, plain.Error(err)
}

func get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, text/plain;q=0.9")
	req.Header.Set("User-Agent", "ebbtide")
	res, err := client.Do(req)
	if err != nil {
		return nil, plainly(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d: want 200", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return text, nil
}

// plainly leaves the URL out, which the reader knows.
func plainly(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// read takes both figures out of an answer. That of players has to be there.
func read(text []byte, names Names, figure func(text []byte, names []string) (map[string]float64, error)) (r Reading, err error) {
	have, err := figure(text, []string{names.Players, names.Free})
	if err != nil {
		return r, err
	}
	players, there := have[names.Players]
	if !there {
		return r, fmt.Errorf("the answer has no %s", names.Players)
	}
	if r.Players, err = count(names.Players, players); err != nil {
		return r, err
	}
	if free, there := have[names.Free]; there {
		// Below 0 are more players than there is room for: nobody more is taken.
		n, err := count(names.Free, max(0, free))
		if err != nil {
			return r, err
		}
		r.Free = &n
	}
	return r, nil
}

// count refuses what is no number of players.
func count(name string, v float64) (uint64, error) {
	if !(v >= 0 && v <= 1<<53) || v != math.Trunc(v) { // NaN is neither
		return 0, fmt.Errorf("%s is %g: want a whole number from 0 on", name, v)
	}
	return uint64(v), nil
}

// member reads members of a JSON object.
func member(text []byte, names []string) (map[string]float64, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read the answer as JSON: %w", err)
	}
	out := map[string]float64{}
	for _, name := range names {
		raw, there := all[name]
		if !there || string(raw) == "null" {
			continue
		}
		var v float64
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("read %s of the answer: %w", name, err)
		}
		out[name] = v
	}
	return out, nil
}

// metric reads metrics of Prometheus' text format.
func metric(text []byte, names []string) (map[string]float64, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(append(text, '\n')))
	if err != nil {
		return nil, fmt.Errorf("read the answer as Prometheus' text: %w", err)
	}
	out := map[string]float64{}
	for _, name := range names {
		family, there := families[name]
		if !there {
			continue
		}
		for _, m := range family.GetMetric() {
			v, err := sample(m)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] += v
		}
	}
	return out, nil
}

func sample(m *dto.Metric) (float64, error) {
	switch {
	case m.Gauge != nil:
		return m.GetGauge().GetValue(), nil
	case m.Untyped != nil:
		return m.GetUntyped().GetValue(), nil
	}
	return 0, errors.New("want a gauge")
}
