// Command run is the long run of `make soak`. It ends with a table, which docs/reliability.md has of the last one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/soak"
)

func main() {
	host.Child()
	o := soak.Options{Out: os.Stdout, Host: host.Options{Metrics: "127.0.0.1:9595"}}
	flag.DurationVar(&o.Length, "length", time.Hour, "of the run")
	flag.IntVar(&o.Players, "players", 60, "who play at a time on each colour, with a session over TCP and one over UDP")
	flag.Uint64Var(&o.Seed, "seed", 0, "of what happens; 0: a new one")
	flag.Parse()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	fmt.Printf("seed %d\n", o.Seed)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f, err := soak.Run(ctx, o)
	fmt.Print(f.Table())
	if err = errors.Join(err, f.Err(), f.Grown()); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
