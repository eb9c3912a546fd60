package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/web"
	"github.com/ebbtide/ebbtide/test/lab"
)

// page is where the daemon serves its page, on the load balancer of the lab.
var page = netip.MustParseAddrPort("127.0.0.1:8080")

// How many players there are about, and how often some come or go.
const (
	most      = 160
	few       = 60
	handful   = 5
	everySome = 500 * time.Millisecond
)

// stay leaves the demo running until the context ends, for whoever wants to see the page and flip there.
func stay(ctx context.Context) error {
	err := set(ctx, false, func(d *demo) error { return d.stay(ctx) })
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (d *demo) stay(ctx context.Context) error {
	access, err := awaitAccess(ctx, d.host.Options().Socket)
	if err != nil {
		return err
	}
	way, err := newWay(d.lab.LB)
	if err != nil {
		return err
	}
	defer way.close()
	access.Address = way.listener.Addr().String()
	d.role.From = append(d.early, d.late...)
	d.fleet.Add(ctx, few, d.role)
	fmt.Printf("the tide: %s\nFlip there. Players come and go, and the old colour empties. End it with ^C.\n", access.URL())
	for growing := true; ctx.Err() == nil; {
		switch n := len(d.fleet.Playing()); {
		case n >= most:
			growing = false
		case n <= few:
			growing = true
		}
		come := handful - 2
		if growing {
			come = handful + 2
		}
		d.fleet.Add(context.WithoutCancel(ctx), rand.N(come)+1, d.role) // the end keeps nobody out who is at the door
		d.fleet.Logout(rand.N(handful) + 1)
		select {
		case <-ctx.Done():
		case <-time.After(everySome):
		}
	}
	d.farewell()
	return nil
}

// farewell says how it went. Who was moved from the page was broken by that.
func (d *demo) farewell() {
	totals := d.fleet.Totals()
	fmt.Printf("\nplayers %d · broken %d\n", totals.Players, totals.Broken)
	for _, reason := range totals.Reasons {
		fmt.Println("  broken:", reason)
	}
}

// awaitAccess waits for the page.
func awaitAccess(ctx context.Context, socket string) (web.Access, error) {
	for {
		access, err := web.ReadAccess(socket)
		if err == nil {
			return access, nil
		}
		select {
		case <-ctx.Done():
			return access, errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// way leads from this host's loopback to that of the load balancer, which is in a namespace of its own.
type way struct {
	listener net.Listener
	ns       *lab.NS
	conns    sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc
}

// newWay listens at the page's own port, or where it is taken at another.
func newWay(ns *lab.NS) (*way, error) {
	ln, err := net.Listen("tcp", page.String())
	if err != nil {
		ln, err = net.Listen("tcp", netip.AddrPortFrom(page.Addr(), 0).String())
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the web page: %w", err)
	}
	w := &way{listener: ln, ns: ns}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.conns.Go(w.accept)
	return w, nil
}

func (w *way) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return // it was closed
		}
		w.conns.Go(func() { w.carry(from) })
	}
}

// carry copies both ways, until one side has ended.
func (w *way) carry(from net.Conn) {
	defer from.Close()
	to, err := w.ns.Dial(w.ctx, "tcp", page)
	if err != nil {
		return // the daemon is away: the browser comes again
	}
	defer to.Close()
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		w.conns.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // its end is all that it says
			ended <- struct{}{}
		})
	}
	select {
	case <-ended:
	case <-w.ctx.Done():
	}
}

func (w *way) close() {
	w.stop()
	w.listener.Close()
	w.conns.Wait()
}
