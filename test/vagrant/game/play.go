package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
)

// moment is what the client sees, a line of JSON each.
type moment struct {
	Players  int            // who play
	Broken   int            // of all who ever came
	Sessions map[string]int // in progress, by the colour that answers
	Open     map[string]int `json:",omitempty"` // in progress as the backends see it, by colour
	Reasons  []string       `json:",omitempty"`
}

// play plays until its input ends or it is told to stop, then judges. Each second the player who has played longest leaves, and
// another comes. On its input, "flipped" says that the flip is done, and "open" asks for what the backends have open; each word is
// said again when that is done.
func play(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("play", flag.ExitOnError)
	players := flags.Int("players", 20, "how many play at a time")
	stay := flags.Duration("every", time.Second, "time after which one leaves and another comes")
	endpoints := endpointsFlag(flags)
	backends := flags.String("backends", "", "addresses and ports where backends tell their states, with commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	asked := strings.FieldsFunc(*backends, func(r rune) bool { return r == ',' })
	fleet := game.NewFleet(newPorts())
	defer fleet.Close()
	role := game.Role{Endpoints: endpoints(), StateTick: 250 * time.Millisecond, Patience: 30 * time.Second}
	all := fleet.Add(ctx, *players, role)
	fleet.Exchange(1)
	tell(out, fleet, nil)

	lines, turn := linesOf(in), time.NewTicker(*stay)
	defer turn.Stop()
	var flipped time.Time
	for {
		select {
		case <-turn.C:
			all = append(all, fleet.Add(ctx, 1, role)...)
			fleet.Logout(1)
			tell(out, fleet, nil)
			continue
		case word, more := <-lines:
			if !more {
				break
			}
			if word == "flipped" {
				flipped = time.Now()
			} else if err := tellOpen(out, fleet, asked); err != nil {
				return err
			}
			fmt.Fprintln(out, word)
			continue
		case <-ctx.Done():
		}
		return end(out, all, fleet, flipped, asked)
	}
}

// linesOf gives them as they come.
func linesOf(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// tellOpen tells what the backends have open, too.
func tellOpen(out io.Writer, fleet *game.Fleet, backends []string) error {
	states, err := ask(backends)
	if err != nil {
		return err
	}
	open := map[string]int{}
	for _, s := range states {
		open[s.Colour] += s.Open
	}
	tell(out, fleet, open)
	return nil
}

// tell tells how it is going.
func tell(out io.Writer, fleet *game.Fleet, open map[string]int) {
	t := fleet.Totals()
	line, err := json.Marshal(moment{len(fleet.Playing()), t.Broken, t.Colours, open, t.Reasons})
	if err != nil {
		panic(err) // numbers and strings
	}
	fmt.Fprintln(out, string(line))
}

// end logs the last players out and says what came of it all.
func end(out io.Writer, all []*game.Player, fleet *game.Fleet, flipped time.Time, backends []string) error {
	states, err := ask(backends)
	if err != nil {
		return err
	}
	fleet.Logout(len(fleet.Playing()))
	tell(out, fleet, nil)
	v := judge(all, states, flipped)
	fmt.Fprintf(out, "players %d · broken %d · sessions opened after the flip: %v\n", len(all), v.broken, v.after)
	if v.broken > 0 || len(v.faults) > 0 {
		return fmt.Errorf("somebody noticed:\n  %s", strings.Join(v.faults, "\n  "))
	}
	return nil
}
