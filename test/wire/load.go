package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

const payload = 64 // bytes of a datagram, of a question and of its answer

// load is what is sent in a round. It is bounded by number, not by time.
type load struct {
	datagrams int // of a few flows in turn
	turns     int // of each player: a question and its answer
	players   int // connections
}

// measure sends the load through a balancer.
func (s *stage) measure(ctx context.Context, protocol string, size load) (sample, error) {
	if protocol == "udp" {
		return s.datagrams(size)
	}
	return s.turns(ctx, size)
}

// turns are questions that backends answer, over connections that stand.
func (s *stage) turns(ctx context.Context, size load) (sample, error) {
	for _, b := range s.live() {
		l, err := b.Listen("tcp4", s.socketOf(b))
		if err != nil {
			return sample{}, err
		}
		defer l.Close()
		go echo(l)
	}
	players, err := s.dial(ctx, "tcp4", size.players)
	defer closeAll(players)
	if err == nil {
		err = play(players, 1)
	}
	if err != nil {
		return sample{}, err
	}
	begin := s.now()
	if err := play(players, size.turns); err != nil {
		return sample{}, err
	}
	return s.since(begin, size.turns*size.players), nil
}

func echo(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, payload)
			for {
				if _, err := io.ReadFull(conn, buf); err != nil {
					return
				}
				if _, err := conn.Write(buf); err != nil {
					return
				}
			}
		}()
	}
}

// play lets every player have so many turns.
func play(players []net.Conn, turns int) error {
	errs := make([]error, len(players))
	var all sync.WaitGroup
	for i, conn := range players {
		all.Go(func() {
			conn.SetDeadline(time.Now().Add(time.Minute))
			buf := make([]byte, payload)
			for range turns {
				if _, errs[i] = conn.Write(buf); errs[i] != nil {
					return
				}
				if _, errs[i] = io.ReadFull(conn, buf); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *stage) dial(ctx context.Context, network string, many int) (conns []net.Conn, err error) {
	for i := range many {
		conn, err := s.lab.Client.Dial(ctx, network, s.to[i%len(s.to)])
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// socketOf is where a backend's server listens.
func (s *stage) socketOf(b *lab.Backend) (at netip.AddrPort) {
	return netip.AddrPortFrom(b.Address(lab.VIP4), port)
}
