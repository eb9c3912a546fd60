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

	"github.com/ebbtide/ebbtide/internal/journal"
)

// ErrNoDaemon says that nothing listens on the socket.
var ErrNoDaemon = errors.New("no daemon listens")

// Client asks the daemon behind a socket, or on the network. What the daemon
// refuses comes back as an [*Error].
type Client struct {
	http *http.Client
	base string // of addresses
}

// localBase is of no account: the socket is the daemon's.
const localBase = "http://ebbtide"

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
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}}, localBase}
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

// FlipGroup implements [Controller].
func (c *Client) FlipGroup(ctx context.Context, req GroupFlipRequest) (GroupFlipResult, error) {
	return ask[GroupFlipResult](ctx, c, http.MethodPost, "flip-group", req)
}

// RollbackGroup implements [Controller].
func (c *Client) RollbackGroup(ctx context.Context, req GroupRollbackRequest) (GroupFlipResult, error) {
	return ask[GroupFlipResult](ctx, c, http.MethodPost, "rollback-group", req)
}

// Schedule implements [Controller].
func (c *Client) Schedule(ctx context.Context, req ScheduleRequest) (Scheduled, error) {
	return ask[Scheduled](ctx, c, http.MethodPost, "schedule", req)
}

// Schedules implements [Controller].
func (c *Client) Schedules(ctx context.Context, req SchedulesRequest) (Schedules, error) {
	return ask[Schedules](ctx, c, http.MethodPost, "schedules", req)
}

// Unschedule implements [Controller].
func (c *Client) Unschedule(ctx context.Context, req UnscheduleRequest) (Schedules, error) {
	return ask[Schedules](ctx, c, http.MethodPost, "unschedule", req)
}

// Testers implements [Controller].
func (c *Client) Testers(ctx context.Context, req TestersRequest) (Testers, error) {
	return ask[Testers](ctx, c, http.MethodPost, "testers", req)
}

// Share implements [Controller].
func (c *Client) Share(ctx context.Context, req ShareRequest) (Share, error) {
	return ask[Share](ctx, c, http.MethodPost, "share", req)
}

// Evict implements [Controller].
func (c *Client) Evict(ctx context.Context, req EvictRequest, yield func(EvictProgress) error) error {
	return follow(ctx, c, "evict", req, yield)
}

// WatchDrain implements [Controller].
func (c *Client) WatchDrain(ctx context.Context, req DrainRequest, yield func(DrainProgress) error) error {
	return follow(ctx, c, "drain", req, yield)
}

// Flows implements [Controller].
func (c *Client) Flows(ctx context.Context, filter FlowFilter, yield func(Flow) error) error {
	return follow(ctx, c, "flows", filter, yield)
}

// FlowLines is Flows with each flow as the JSON document that the daemon sent.
// It is much cheaper, and is for those who only hand them on. A line is the
// caller's until yield returns.
func (c *Client) FlowLines(ctx context.Context, filter FlowFilter, yield func(line []byte) error) error {
	return c.lines(ctx, "flows", filter, yield)
}

// Explain implements [Controller].
func (c *Client) Explain(ctx context.Context, req ExplainRequest, yield func(Explanation) error) error {
	return follow(ctx, c, "explain", req, yield)
}

// Trace implements [Controller].
func (c *Client) Trace(ctx context.Context, req TraceRequest, yield func(Traced) error) error {
	return follow(ctx, c, "trace", req, yield)
}

// Replay implements [Controller].
func (c *Client) Replay(ctx context.Context, req ReplayRequest) (Replay, error) {
	return ask[Replay](ctx, c, http.MethodPost, "replay", req)
}

// Drops implements [Controller].
func (c *Client) Drops(ctx context.Context, req DropsRequest) (Drops, error) {
	return ask[Drops](ctx, c, http.MethodPost, "drops", req)
}

// Stage implements [Controller].
func (c *Client) Stage(ctx context.Context, req StageRequest) (Staged, error) {
	return ask[Staged](ctx, c, http.MethodPost, "stage", req)
}

// Release implements [Controller].
func (c *Client) Release(ctx context.Context, req ReleaseRequest) (Release, error) {
	return ask[Release](ctx, c, http.MethodPost, "release", req)
}

// ReleaseGroup implements [Controller].
func (c *Client) ReleaseGroup(ctx context.Context, req GroupReleaseRequest) (GroupReleases, error) {
	return ask[GroupReleases](ctx, c, http.MethodPost, "release-group", req)
}

// Releases implements [Controller].
func (c *Client) Releases(ctx context.Context, req ReleasesRequest) (Releases, error) {
	return ask[Releases](ctx, c, http.MethodPost, "releases", req)
}

// WatchRelease implements [Controller].
func (c *Client) WatchRelease(ctx context.Context, req ReleasesRequest, yield func(Release) error) error {
	return follow(ctx, c, "release/watch", req, yield)
}

// Rehearse implements [Controller].
func (c *Client) Rehearse(ctx context.Context, req RehearseRequest, yield func(Rehearsal) error) error {
	return follow(ctx, c, "rehearse", req, yield)
}

// Verify implements [Controller].
func (c *Client) Verify(ctx context.Context, req ReleasesRequest) (Verification, error) {
	return ask[Verification](ctx, c, http.MethodPost, "verify", req)
}

// SupportBundle implements [Controller].
func (c *Client) SupportBundle(ctx context.Context, req SupportBundleRequest) (SupportBundle, error) {
	return ask[SupportBundle](ctx, c, http.MethodPost, "support-bundle", req)
}

// Gates implements [Controller].
func (c *Client) Gates(ctx context.Context, req GatesRequest) (Gates, error) {
	return ask[Gates](ctx, c, http.MethodPost, "gates", req)
}

// PlanRelease implements [Controller].
func (c *Client) PlanRelease(ctx context.Context, req ReleasesRequest) (ReleasePlan, error) {
	return ask[ReleasePlan](ctx, c, http.MethodPost, "release/plan", req)
}

// Lock implements [Controller].
func (c *Client) Lock(ctx context.Context, req LockRequest) (Lock, error) {
	return ask[Lock](ctx, c, http.MethodPost, "lock", req)
}

// Unlock implements [Controller].
func (c *Client) Unlock(ctx context.Context, req UnlockRequest) error {
	_, err := ask[nothing](ctx, c, http.MethodPost, "unlock", req)
	return err
}

// Health implements [Controller].
func (c *Client) Health(ctx context.Context, req HealthRequest) (Health, error) {
	return ask[Health](ctx, c, http.MethodPost, "health", req)
}

// Occupancy implements [Controller].
func (c *Client) Occupancy(ctx context.Context, req OccupancyRequest) (Occupancy, error) {
	return ask[Occupancy](ctx, c, http.MethodPost, "occupancy", req)
}

// CloseService implements [Controller].
func (c *Client) CloseService(ctx context.Context, req CloseRequest) (Closed, error) {
	return ask[Closed](ctx, c, http.MethodPost, "close", req)
}

// OpenService implements [Controller].
func (c *Client) OpenService(ctx context.Context, req OpenRequest) (Closed, error) {
	return ask[Closed](ctx, c, http.MethodPost, "open", req)
}

// History implements [Controller].
func (c *Client) History(ctx context.Context, req HistoryRequest, yield func(journal.Event) error) error {
	return follow(ctx, c, "history", req, yield)
}

// Events implements [Controller].
func (c *Client) Events(ctx context.Context, req EventsRequest, yield func(Event) error) error {
	body, err := c.send(ctx, http.MethodGet, "events?"+req.query().Encode(), nothing{})
	if err != nil {
		return err
	}
	defer body.Close()
	return readEvents(ctx, body, yield)
}

// Report implements [Controller].
func (c *Client) Report(ctx context.Context, req ReportRequest) (Report, error) {
	return ask[Report](ctx, c, http.MethodPost, "report", req)
}

// Plan implements [Controller].
func (c *Client) Plan(ctx context.Context, req PlanRequest) (Plan, error) {
	return ask[Plan](ctx, c, http.MethodPost, "plan", req)
}

// Reload implements [Controller].
func (c *Client) Reload(ctx context.Context, req ReloadRequest) (Plan, error) {
	return ask[Plan](ctx, c, http.MethodPost, "reload", req)
}

// Detach implements [Controller].
func (c *Client) Detach(ctx context.Context, req DetachRequest) error {
	_, err := ask[nothing](ctx, c, http.MethodPost, "detach", req)
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
	return c.lines(ctx, verb, req, func(line []byte) error {
		var item Item
		if err := json.Unmarshal(line, &item); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return yield(item)
	})
}

// lines yields those of a stream, but for one that is an error.
func (c *Client) lines(ctx context.Context, verb string, req request, yield func(line []byte) error) error {
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
		if err := yield(in.Bytes()); err != nil {
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
	r, err := http.NewRequestWithContext(ctx, method, c.base+"/v1/"+verb, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.noAnswer(ctx, err)
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
