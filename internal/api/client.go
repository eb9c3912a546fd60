package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// ErrNoDaemon says that nothing listens on the socket.
var ErrNoDaemon = errors.New("no daemon listens")

// Client asks the daemon behind a socket. What the daemon refuses comes back
// as an [*Error].
type Client struct{ http *http.Client }

var _ Controller = (*Client)(nil)

// New makes a client; it connects when it is first used.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w on %s", ErrNoDaemon, socket)
		}
		if errors.Is(err, syscall.EACCES) {
			return nil, fmt.Errorf("%w: be root, or in the group of the socket", err)
		}
		return conn, err
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status implements [Controller].
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, "status", nothing{})
}

// Flip implements [Controller].
func (c *Client) Flip(ctx context.Context, req FlipRequest) (FlipResult, error) {
	return ask[FlipResult](ctx, c, http.MethodPost, "flip", req)
}

// Rollback implements [Controller].
func (c *Client) Rollback(ctx context.Context, req RollbackRequest) (FlipResult, error) {
	return ask[FlipResult](ctx, c, http.MethodPost, "rollback", req)
}

// WatchDrain implements [Controller].
func (c *Client) WatchDrain(ctx context.Context, req DrainRequest, yield func(DrainProgress) error) error {
	return follow(ctx, c, "drain", req, yield)
}

// Flows implements [Controller].
func (c *Client) Flows(ctx context.Context, filter FlowFilter, yield func(Flow) error) error {
	return follow(ctx, c, "flows", filter, yield)
}

// Plan implements [Controller].
func (c *Client) Plan(ctx context.Context, req PlanRequest) (Plan, error) {
	return ask[Plan](ctx, c, http.MethodPost, "plan", req)
}

// Reload implements [Controller].
func (c *Client) Reload(ctx context.Context) (Plan, error) {
	return ask[Plan](ctx, c, http.MethodPost, "reload", nothing{})
}

// Detach implements [Controller].
func (c *Client) Detach(ctx context.Context) error {
	_, err := ask[nothing](ctx, c, http.MethodPost, "detach", nothing{})
	return err
}

func ask[Res any](ctx context.Context, c *Client, method, verb string, req request) (Res, error) {
	var res Res
	body, err := c.send(ctx, method, verb, req)
	if err != nil {
		return res, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&res); err != nil {
		return res, gone(ctx, err)
	}
	return res, nil
}

// maxLine is far over the longest line of a stream.
const maxLine = 1 << 20

func follow[Item any](ctx context.Context, c *Client, verb string, req request, yield func(Item) error) error {
	body, err := c.send(ctx, http.MethodPost, verb, req)
	if err != nil {
		return err
	}
	defer body.Close()
	in := bufio.NewScanner(body)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		if err := lineError(in.Bytes()); err != nil {
			return err
		}
		var item Item
		if err := json.Unmarshal(in.Bytes(), &item); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		if err := yield(item); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return gone(ctx, err)
	}
	return nil
}

// lineError gives the error that a line is, nil for an item.
func lineError(line []byte) error {
	if !bytes.HasPrefix(line, []byte(`{"code":`)) {
		return nil
	}
	e := new(Error)
	if err := json.Unmarshal(line, e); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return e
}

// send gives the body of a good answer, which the caller closes.
func (c *Client) send(ctx context.Context, method, verb string, req request) (io.ReadCloser, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://ebbtide/v1/"+verb, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, gone(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	e := new(Error)
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(e); err != nil || e.Code == "" {
		return nil, fmt.Errorf("the daemon answered with %s", resp.Status)
	}
	return nil, e
}

// gone says why there is no answer, or no end of one.
func gone(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrNoDaemon), errors.Is(err, syscall.EACCES):
		return err
	}
	return Errorf(Unavailable, "the daemon went away: %v", err)
}
