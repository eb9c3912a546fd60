// Package top shows the tide in a terminal, as it goes: sessions by generation
// over time, what drains, and keys for the verbs.
//
// It is a client like any other: what it shows is the daemon's status and its
// stream of events, and each key is a verb that it asks about first.
package top

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Options is what top needs besides the daemon.
type Options struct {
	In       io.Reader // a terminal, as Out is
	Out      io.Writer
	Environ  []string // TERM and what else says what the terminal can do
	Colour   bool
	Service  string        // the first that is shown, "" for the first of all
	Interval time.Duration // between two looks
	Now      func() time.Time
	// Outlook says in words when a generation will be empty.
	Outlook func(p api.DrainProgress, now time.Time) string
}

// Run shows the tide until a key or ctx ends it, and gives the terminal back
// as it was.
func Run(ctx context.Context, daemon api.Controller, opt Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := tea.NewProgram(newScreen(ctx, daemon, opt), tea.WithInput(opt.In), tea.WithOutput(opt.Out), tea.WithEnvironment(opt.Environ),
		tea.WithoutSignalHandler()) // ctx is for that
	defer context.AfterFunc(ctx, p.Quit)()
	var listening sync.WaitGroup
	listening.Go(func() { listen(ctx, daemon, opt.Interval, p.Send) })
	_, err := p.Run()
	cancel()
	listening.Wait()
	if err != nil {
		return fmt.Errorf("show it on the terminal: %w", err)
	}
	return nil
}

// listen hands on what happens, and begins again when the daemon was away.
func listen(ctx context.Context, daemon api.Controller, again time.Duration, send func(tea.Msg)) {
	for ctx.Err() == nil {
		_ = daemon.Events(ctx, api.EventsRequest{}, func(e api.Event) error { // each look at the status tells what is wrong
			send(e)
			return nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}
