package story

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

var (
	lobbyVIP    = netip.MustParseAddr("203.0.113.30")
	databaseVIP = netip.MustParseAddr("203.0.113.40")
	paymentsVIP = netip.MustParseAddr("203.0.113.50")
)

// The recipes in nat: a lobby with sockets that stay open, a database and payments, released as their pages say. A plain TCP
// server stands for PostgreSQL: what the recipe promises is about connections.
func TestTheCookbooksServicesAreReleased(t *testing.T) {
	t.Parallel()
	const closing = ", tcp_half_open: 5s, tcp_closing: 2s"
	database := []game.Endpoint{game.TCP(databaseVIP, 5432)}
	list := []recipe{
		{title: "A lobby with WebSockets", service: "lobby", servers: map[string]string{"10.0.0.21": "blue1", "10.0.1.21": "green1"}, here: []string{
			"tcp: 5m", "tcp: 5m" + closing, "share: 5%, for: 10m", "share: 5%, for: 1s", "share: 25%, for: 10m", "share: 25%, for: 1s", "bake: 30m", "bake: 1s",
			"{kernel: resets, on", "{kernel: resets, window: 5s, on",
		}, play: func(ctx context.Context, k *kitchen) error { return k.gather(ctx) }},
		{title: "PostgreSQL behind a VIP", service: "database", servers: map[string]string{"10.0.0.40": "blue1"}, here: []string{
			"tcp: 2h4m", "tcp: 2h4m" + closing, "testers: [10.0.9.9]", "testers: [198.51.100.20]", "window: 15m", "window: 5s",
			"/usr/local/bin/upgrade-postgresql", "HOOK", "/usr/local/bin/smoke-test", "HOOK",
		}, play: func(ctx context.Context, k *kitchen) error { return k.query(ctx, database) }},
		{title: "Payments", service: "payments", servers: map[string]string{"10.0.0.51": "blue2", "10.0.0.52": "blue3", "10.0.1.51": "green2", "10.0.1.52": "green3"}, here: []string{
			"tcp: 90s", "tcp: 90s" + closing, "bake: 10m", "bake: 1s", "https://books.example/verdict", "BOOKS",
			"http://prometheus.example:9090", "METRICS", "max: 0.01,", "max: 0.01, window: 5s,",
		}, play: func(ctx context.Context, k *kitchen) error { return k.pay(ctx) }},
	}
	topology := lab.Options{Forwarding: lab.NAT, Arms: lab.TwoArms, VIPs: []netip.Addr{lobbyVIP, databaseVIP, paymentsVIP},
		Backends: []string{"blue1", "blue2", "blue3", "green1", "green2", "green3"}}
	cook(t, topology, database, list, func(k *kitchen) (err error) {
		for _, b := range k.lab.Backends {
			w, err := newWeb(b, 8443)
			if err != nil {
				return err
			}
			t.Cleanup(w.srv.Close)
		}
		if k.books, err = newQuality(k.lab.LB); err != nil {
			return err
		}
		t.Cleanup(func() { k.books.Close() })
		if k.metrics, err = newMetrics(k.lab.LB); err != nil {
			return err
		}
		t.Cleanup(func() { k.metrics.Close() })
		return nil
	})
}

// gather: sockets stay with the version that they were opened on, step by step, until they are closed.
func (k *kitchen) gather(ctx context.Context) error {
	to := netip.AddrPortFrom(lobbyVIP, 443)
	var all []*socket
	open := func(n int, colour string) error {
		for _, from := range k.newcomers(n) {
			s, err := openSocket(ctx, k.lab.Client, from, to)
			if err != nil {
				return err
			}
			all = append(all, s)
			k.promise(colour == "" || s.at.Colour == colour, "lobby", "a socket is on %s, want %s", s.at.Colour, colour)
		}
		return nil
	}
	ask := func(when string) {
		for _, s := range all {
			if err := s.ask(); err != nil {
				k.promise(false, "lobby", "%s: a socket of %s: %v", when, s.at.Backend, err)
			}
		}
	}
	if err := open(12, "blue"); err != nil {
		return err
	}
	r, err := k.release(ctx, "lobby", "stepping")
	if err != nil {
		return err
	}
	if r, err = k.comes(ctx, "lobby", r.Number, func(r api.Release) bool { return r.Step == 2 }); err != nil {
		return err
	}
	for len(all) < 60 && all[len(all)-1].at.Colour != "green" { // a quarter of the clients
		if err := open(1, ""); err != nil {
			return err
		}
	}
	k.promise(all[len(all)-1].at.Colour == "green", "lobby", "at 25%% none of %d newcomers is on green", len(all)-12)
	ask("in the steps")
	if err := k.until(ctx, "lobby", r, "baking"); err != nil {
		return err
	}
	if err := open(4, "green"); err != nil {
		return err
	}
	if err := k.until(ctx, "lobby", r, "draining"); err != nil {
		return err
	}
	ask("while the old version drains")
	for _, s := range all {
		if s.at.Colour != "blue" {
			continue
		}
		if err := s.leave(); err != nil {
			k.promise(false, "lobby", "a socket of %s was not closed well: %v", s.at.Backend, err)
		}
	}
	opened := len(all)
	all = slices.DeleteFunc(all, func(s *socket) bool { return s.at.Colour == "blue" })
	if err := k.until(ctx, "lobby", r, "done"); err != nil {
		return err
	}
	ask("after the release")
	for _, s := range all {
		s.leave()
	}
	k.figure("lobby", "sockets %d, each on one version until it was closed", opened)
	return nil
}

// query: the window refuses whoever connects but the smoke test's host, who is in may end, and is reset at its end.
func (k *kitchen) query(ctx context.Context, at []game.Endpoint) error {
	c, smoke := k.cast("database", at), k.cast("database", at)
	defer c.fleet.Close()
	defer smoke.fleet.Close()
	leaving, staying := c.login(ctx, 3), c.login(ctx, 2)
	r, err := k.release(ctx, "database", "emptying")
	if err != nil {
		return err
	}
	_, err = game.Open(ctx, k.lab.Client, netip.AddrPortFrom(k.newcomers(1)[0], 0), at[0])
	k.promise(errors.Is(err, syscall.ECONNREFUSED), "database", "who connects in the window hears %v", err)
	logout(leaving)
	tester := smoke.loginFrom(ctx, netip.MustParseAddr("198.51.100.20"))
	k.promise(sides(tester)["blue"] == 1, "database", "the smoke test's host is on %v", sides(tester))
	smoke.fleet.Close()
	if err := k.until(ctx, "database", r, "done"); err != nil {
		return err
	}
	left, _ := cutOff(leaving)
	moved, silent := cutOff(staying)
	k.promise(left == 0 && moved == 2 && silent == 0, "database", "%d who had left were cut, %d of 2 who stayed, %d in silence", left, moved, silent)
	k.promise(sides(c.login(ctx, 3))["blue"] == 3, "database", "it does not take connections again")
	for _, transition := range []string{"update", "verify"} {
		calls, err := k.calls("database", transition)
		if err != nil {
			return err
		}
		k.promise(len(calls) == map[string]int{"update": 1, "verify": 2}[transition], "database", "the hook of %s ran %d times", transition, len(calls))
	}
	k.figure("database", "reset at the window's end, and told %d", moved)
	return nil
}

// payment is one request, on a connection of its own.
type payment struct {
	begun, ended time.Time
	colour       string
	err          error
}

// pay: no payment meets the new version before the flip or the old one after it, also when the books say no and all goes back.
func (k *kitchen) pay(ctx context.Context) error {
	to := netip.AddrPortFrom(paymentsVIP, 443)
	till := k.customers(ctx, to)
	defer till.close()
	live := "blue"
	for _, verdict := range []string{"fail", "pass"} {
		k.books.verdict.Store("pending")
		if err := till.settles(ctx, live); err != nil {
			return err
		}
		held, err := openSocket(ctx, k.lab.Client, k.newcomers(1)[0], to)
		if err != nil {
			return err
		}
		r, err := k.release(ctx, "payments", "baking")
		if err != nil {
			return err
		}
		err = moves(held)
		k.promise(err == nil, "payments", "a connection that was open at the flip: %v, want it ended by a RST", err)
		if err := till.settles(ctx, "green"); err != nil {
			return err
		}
		held, err = openSocket(ctx, k.lab.Client, k.newcomers(1)[0], to)
		if err != nil {
			return err
		}
		k.books.verdict.Store(verdict)
		end, home := "done", "green"
		if verdict == "fail" {
			end, home = "rolled-back", "blue"
		}
		if err := k.until(ctx, "payments", r, end); err != nil {
			return err
		}
		if verdict == "fail" {
			err = moves(held)
			k.promise(err == nil, "payments", "a connection to the failed version: %v, want it ended by a RST", err)
		} else {
			k.promise(held.ask() == nil, "payments", "a connection to the version that passed was ended")
			held.leave()
		}
		if err := till.settles(ctx, home); err != nil {
			return err
		}
		live = home
	}
	k.figure("payments", "payments %d, none on two versions' sides of a flip", len(till.all()))
	return nil
}

// moves asks on a connection that has to be ended by a RST, and says what came instead.
func moves(s *socket) error {
	defer s.conn.Close()
	for range 3 { // the RST answers what is sent first
		if err := s.ask(); errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return errors.New("it goes on")
}

// till is where payments come in, one after the other.
type till struct {
	mu      sync.Mutex
	list    []payment
	changed chan struct{}
	close   func()
}

func (k *kitchen) customers(ctx context.Context, to netip.AddrPort) *till {
	ctx, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	t := &till{changed: make(chan struct{}), close: func() { stop(); <-over }}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return k.lab.Client.Dial(ctx, network, to)
		},
	}}
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			p := payment{begun: time.Now()}
			var res *http.Response
			if res, p.err = client.Post("https://payments/pay", "text/plain", nil); p.err == nil {
				var s served
				p.err = json.NewDecoder(res.Body).Decode(&s)
				res.Body.Close()
				p.colour = s.Colour
			}
			p.ended = time.Now()
			t.mu.Lock()
			t.list = append(t.list, p)
			close(t.changed)
			t.changed = make(chan struct{})
			t.mu.Unlock()
		}
	}()
	return t
}

func (t *till) all() []payment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

// settles waits for five payments that begin from now on, all of which have to be on one side.
func (t *till) settles(ctx context.Context, colour string) error {
	now := time.Now()
	for {
		t.mu.Lock()
		list, changed := slices.Clone(t.list), t.changed
		t.mu.Unlock()
		n := 0
		for _, p := range list {
			if p.begun.Before(now) {
				continue
			}
			if n++; p.err != nil || p.colour != colour {
				return errors.Join(errors.New("a payment went to "+p.colour+" instead of "+colour), p.err)
			}
		}
		if n >= 5 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
