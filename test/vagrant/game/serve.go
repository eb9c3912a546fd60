package main

import (
	"context"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
)

// state is what a backend says of itself to those who judge.
type state struct {
	Colour  string
	Open    int // sessions in progress
	Accepts []game.Accept
	Faults  []string
}

// serve serves the game, and its state over HTTP, until it is told to stop.
func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	name, colour := flags.String("name", "", "name of the backend"), flags.String("colour", "", "its colour")
	endpoints := endpointsFlag(flags)
	at := flags.String("state", "", "address and port where the state is told")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var log game.AcceptLog
	server := game.NewServer(*name, *colour, &log)
	defer server.Close()
	for _, e := range endpoints() {
		if err := server.Listen(sockets{}, e); err != nil {
			return err
		}
	}
	tell := http.Server{Addr: *at, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tcp, udp := server.Open()
		// Who asked sees when the answer is cut.
		_ = json.NewEncoder(w).Encode(state{*colour, tcp + udp, log.All(), server.Faults()})
	})}
	defer context.AfterFunc(ctx, func() { tell.Close() })()
	if err := tell.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

// sockets are this machine's own.
type sockets struct{}

// Listen is that of [game.Listener].
func (sockets) Listen(network string, addr netip.AddrPort) (*net.TCPListener, error) {
	return net.ListenTCP(network, net.TCPAddrFromAddrPort(addr))
}

// ListenPacket is that of [game.Listener].
func (sockets) ListenPacket(network string, addr netip.AddrPort) (*net.UDPConn, error) {
	return net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
}
