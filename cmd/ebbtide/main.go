// Command ebbtide is the daemon that moves a service from one colour to the
// other without cutting a session, and the client that tells it to.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	os.Exit(run(ctx, hostEnv(), os.Args[1:]))
}
