package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// backends are where they tell what they have accepted.
const backends = "10.77.0.31:7778,10.77.0.32:7778,10.77.0.41:7778,10.77.0.42:7778"

// moment is what the client sees, a line of JSON each.
type moment struct {
	Players, Broken int
	Sessions, Open  map[string]int // by colour: as players see it, and as backends do
}

// players are those of the client.
type players struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	log   io.Writer
	said  string // the last line that is no moment
}

// play starts n of them.
func (m *machines) play(ctx context.Context, n int) (*players, error) {
	p := &players{log: m.log}
	p.cmd = m.ssh(ctx, "client", fmt.Sprintf("game play -players %d -backends %s", n, backends))
	p.cmd.Stderr = m.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(out)
	return p, p.cmd.Start()
}

// until waits for a line that is as wanted; moments that are not are passed over.
func (p *players) until(what string, ready func(line string, now moment) bool) (moment, error) {
	for p.lines.Scan() {
		line := p.lines.Text()
		fmt.Fprintln(p.log, line)
		var now moment
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &now); err != nil {
				return now, fmt.Errorf("read what the players say: %w: %s", err, line)
			}
		} else {
			p.said = line
		}
		if ready(line, now) {
			return now, nil
		}
	}
	return moment{}, fmt.Errorf("the players have ended before %s (%v): %s", what, p.lines.Err(), p.said)
}

// tell sends them a word, and waits for the answer.
func (p *players) tell(word string) (moment, error) {
	if _, err := fmt.Fprintln(p.in, word); err != nil {
		return moment{}, fmt.Errorf("tell the players %q: %w", word, err)
	}
	var last moment
	_, err := p.until(word, func(line string, now moment) bool {
		if line != word {
			last = now
		}
		return line == word
	})
	return last, err
}

// end ends the game; the players' verdict is its last word.
func (p *players) end() (string, error) {
	if err := p.in.Close(); err != nil {
		return "", err
	}
	if _, err := p.until("their verdict", func(line string, _ moment) bool { return strings.HasPrefix(line, "players ") }); err != nil {
		return "", err
	}
	return p.said, p.cmd.Wait()
}
