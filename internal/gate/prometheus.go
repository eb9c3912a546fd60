package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/api"
	prom "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/plain"
)

// maxAnswer bounds what is read of an answer: one value needs far less.
const maxAnswer = 1 << 20

// errTooLong: an answer is longer than is read of it.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// prometheus asks for the value of a query, as it is by Prometheus' own clock.
func prometheus(ctx context.Context, client *http.Client, g config.Gate) Reading {
	r := Reading{Threshold: thresholds(g)}
	value, err := query(ctx, client, g.Prometheus)
	if err != nil {
		r.Verdict, r.Detail = Unknown, fmt.Sprintf("ask Prometheus at %s: %s", shown(g.Prometheus.URL), plainly(err))
		return r
	}
	r.Value = number(value)
	r.Verdict, r.Detail = within(g, value)
	return r
}

// query gives the one value that a query has.
func query(ctx context.Context, client *http.Client, p config.Prometheus) (float64, error) {
	c, err := api.NewClient(api.Config{Address: p.URL, Client: bounded(client)})
	if err != nil {
		return 0, err
	}
	value, _, _, err := prom.NewAPI(c).Query(ctx, p.Query, time.Time{})
	if err != nil {
		return 0, err
	}
	return oneValue(value)
}

func oneValue(v model.Value) (float64, error) {
	var n float64
	switch v := v.(type) {
	case *model.Scalar:
		n = float64(v.Value)
	case model.Vector:
		switch len(v) {
		case 0:
			return 0, errors.New("the query has no value: does anything match it?")
		case 1:
			n = float64(v[0].Value)
		default:
			return 0, fmt.Errorf("the query has %d values: write it so that it has one, as with sum()", len(v))
		}
	case nil:
		return 0, errors.New("the answer has no value: is it Prometheus that answers there?")
	default:
		return 0, fmt.Errorf("the query is a %s: want a scalar, or a vector of one value", v.Type())
	}
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("the query's value is %g: nothing to compare with, as where it divides by 0", n)
	}
	return n, nil
}

// bounded is the client with answers that end at maxAnswer.
func bounded(c *http.Client) *http.Client {
	out := *c
	out.Transport = boundedTransport{c.Transport}
	return &out
}

type boundedTransport struct{ next http.RoundTripper }

func (t boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(req)
	if err == nil {
		res.Body = &boundedBody{res.Body, maxAnswer}
	}
	return res, err
}

// boundedBody fails where an answer goes on too long: what is cut must not be taken for the whole.
type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if n > b.left {
		return b.left, errTooLong
	}
	b.left -= n
	return n, err
}

// shown is an address without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// plainly is an error without the address that was asked, which may have a secret in its query.
func plainly(err error) string {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return plain.Text(err.Error())
}
