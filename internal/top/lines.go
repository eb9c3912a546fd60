package top

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Lines writes a line a service at each interval instead, for what is no
// terminal: so many times, or until ctx ends when times is 0. A daemon that
// does not answer at the first time is an error, later it is a line.
func Lines(ctx context.Context, daemon api.Controller, opt Options, times int) error {
	ctx, cancel := context.WithCancel(ctx)
	heard := make(chan api.Event)
	var listening sync.WaitGroup
	listening.Go(func() {
		listen(ctx, daemon, opt.Interval, func(m tea.Msg) {
			select {
			case heard <- m.(api.Event):
			case <-ctx.Done():
			}
		})
	})
	defer listening.Wait()
	defer cancel()
	next := time.NewTicker(opt.Interval)
	defer next.Stop()
	s := newScreen(ctx, daemon, opt)
	for n := 1; ; n++ {
		l := s.look().(looked)
		if ctx.Err() != nil {
			return nil
		}
		if l.err != nil && n == 1 {
			return l.err
		}
		s.take(l)
		if err := s.print(); err != nil || n == times {
			return err
		}
		for waits := true; waits; {
			select {
			case e := <-heard:
				s.hear(e)
			case <-next.C:
				waits = false
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (s screen) print() error {
	if s.away != nil {
		_, err := fmt.Fprintf(s.opt.Out, "%s %v\n", s.opt.Now().Format("15:04:05"), s.away)
		return err
	}
	for _, svc := range s.status.Services {
		if s.opt.Service != "" && svc.Name != s.opt.Service {
			continue
		}
		words := make([]string, len(svc.Generations))
		for i, g := range svc.Generations {
			words[i] = s.generationLine(svc, g)
		}
		if _, err := fmt.Fprintf(s.opt.Out, "%s %s: %s\n", s.at.Format("15:04:05"), svc.Name, strings.Join(words, "; ")); err != nil {
			return err
		}
	}
	return nil
}

func (s screen) generationLine(svc api.Service, g api.Generation) string {
	line := fmt.Sprintf("%s %s %s", g.Name(), g.State, count(g.Sessions.Total))
	if r, ok := s.seen[svc.Name].rate(g.Number); ok {
		line += ", " + short(r.new) + " new/s"
	}
	if g.State == api.StateInconclusive {
		return line + ": " + g.Reason
	}
	if p, known := s.drains[drainKey(svc.Name, g.Number)]; known && g.State == api.StateDraining {
		line += ", " + s.opt.Outlook(p, s.at)
	}
	if g.State == api.StateDraining && g.NewSinceFlip > 0 {
		line += fmt.Sprintf(", %d new since the flip", g.NewSinceFlip)
	}
	return line
}
