// Command game is what is played in the machines of `vagrant up`: a backend serves it, the client plays it.
//
//	game serve -name blue1 -colour blue -at 203.0.113.10:7777 -state 10.77.0.31:7778
//	game play -at 203.0.113.10:7777 -backends 10.77.0.31:7778,10.77.0.32:7778
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/ebbtide/ebbtide/test/game"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "game:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: serve or play")
	}
	switch args[0] {
	case "serve":
		return serve(ctx, args[1:])
	case "play":
		return play(ctx, args[1:], os.Stdin, os.Stdout)
	}
	return fmt.Errorf("%q is neither serve nor play", args[0])
}

// endpointsFlag is -at: where the game is played, over both networks.
func endpointsFlag(flags *flag.FlagSet) func() []game.Endpoint {
	at := netip.MustParseAddrPort("203.0.113.10:7777")
	flags.Func("at", "address and port of the game (default 203.0.113.10:7777)", func(s string) (err error) {
		at, err = netip.ParseAddrPort(s)
		return err
	})
	return func() []game.Endpoint {
		return []game.Endpoint{game.TCP(at.Addr(), at.Port()), game.UDP(at.Addr(), at.Port())}
	}
}
