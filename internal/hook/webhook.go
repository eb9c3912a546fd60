package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/sign"
)

// What an answer may take: a receiver that never ends it has answered all the same.
const (
	maxAnswerHeader = 64 << 10
	maxAnswer       = 256 << 10
	maxAnswerTime   = 2 * time.Second
)

// newClient follows no redirect, asks no proxy and keeps no connection.
func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswerHeader},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post calls a webhook once.
func (r *Runner) post(ctx context.Context, h config.Hook, call Call, body []byte, n int) outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.Webhook.URL, bytes.NewReader(body))
	if err != nil {
		return outcome{err: withoutURL(err), final: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ebbtide")
	req.Header.Set("Ebbtide-Key", call.Key)
	req.Header.Set("Ebbtide-Attempt", strconv.Itoa(n))
	if h.Webhook.SecretFile != "" {
		if err := sign.Header(req.Header, h.Webhook.SecretFile, body, time.Now()); err != nil {
			return outcome{err: err, final: true}
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return outcome{err: withoutURL(err)}
	}
	defer resp.Body.Close()
	defer time.AfterFunc(maxAnswerTime, cancel).Stop()
	var kept output
	_, _ = io.Copy(&kept, io.LimitReader(resp.Body, maxAnswer)) // the status has told what matters
	return judge(resp, kept.String())
}

// judge says what an answer means.
func judge(resp *http.Response, answer string) outcome {
	o := outcome{status: resp.StatusCode, output: answer}
	switch code := resp.StatusCode; {
	case code >= 200 && code <= 299:
		return o
	case code >= 300 && code <= 399:
		o.err, o.final = fmt.Errorf("the answer %d leads to %s, which is not followed: name that address itself", code, target(resp)), true
		return o
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		o.err = fmt.Errorf("the answer is %d", code)
	default:
		o.err, o.final = fmt.Errorf("the answer is %d", code), true
	}
	if line := lastLine(answer); line != "" {
		o.err = fmt.Errorf("%w: %q", o.err, line)
	}
	return o
}

// target is where a redirect leads, without the query: it may hold a token.
func target(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// withoutURL takes the address out of an error of net/http: its query may hold a token, and the hook is named anyway.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
