package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// tide shows the sessions of each colour as they change: on a terminal as a line that is drawn over, elsewhere as lines.
type tide struct {
	mu       sync.Mutex
	out      *os.File
	terminal bool
	colours  bool
	begin    time.Time
}

const barWidth = 30

func newTide(out *os.File) *tide {
	terminal := term.IsTerminal(int(out.Fd()))
	return &tide{out: out, terminal: terminal, colours: terminal && os.Getenv("NO_COLOR") == "", begin: time.Now()}
}

// say prints an event on a line of its own.
func (t *tide) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	fmt.Fprintf(t.out, "%5.1f s  %s\n", time.Since(t.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (t *tide) clear() {
	if t.terminal {
		fmt.Fprint(t.out, "\r\x1b[K")
	}
}

func (t *tide) show(blue, green, broken int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	line := fmt.Sprintf("%5.1f s  blue %4d %s %4d green   broken players %d", time.Since(t.begin).Seconds(), blue, t.bar(blue, green), green, broken)
	if !t.terminal {
		line += "\n"
	}
	fmt.Fprint(t.out, line)
}

func (t *tide) bar(blue, green int) string {
	all := max(1, blue+green)
	filled := blue * barWidth / all
	left, right := strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled)
	if t.colours {
		return "\x1b[34m" + left + "\x1b[32m" + right + "\x1b[0m"
	}
	return left + right
}

// watch shows the tide until the context ends: the sessions that the backends themselves have open.
func (d *demo) watch(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	every := 2 * time.Second
	if d.tide.terminal {
		every = 200 * time.Millisecond
	}
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			open := d.world.Open()
			d.tide.show(open["blue"], open["green"], d.fleet.Totals().Broken)
			select {
			case <-ctx.Done():
				d.tide.clear()
				return
			case <-ticker.C:
			}
		}
	}()
	return done
}
