package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
)

// Loopback addresses that nobody else uses.
const at, stateAt = "127.77.0.1:7777", "127.77.0.1:7778"

// mustServe serves the game until stop is called or the test is over.
func mustServe(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, []string{"-name", "blue1", "-colour", "blue", "-at", at, "-state", stateAt})
	}()
	stop = func() {
		if cancel(); ended == nil {
			return
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended = nil
	}
	t.Cleanup(stop)
	for {
		conn, err := net.Dial("tcp", stateAt)
		if err == nil {
			conn.Close()
			return stop
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
}

// match is one of players, in this process.
type match struct {
	t     *testing.T
	in    *io.PipeWriter
	lines *bufio.Scanner
	ended chan error
}

func mustPlay(t *testing.T) *match {
	t.Helper()
	in, words := io.Pipe()
	said, out := io.Pipe()
	g := &match{t, words, bufio.NewScanner(said), make(chan error, 1)}
	go func() {
		g.ended <- play(t.Context(), []string{"-players", "3", "-every", "20ms", "-at", at, "-backends", stateAt}, in, out)
		out.Close()
	}()
	return g
}

// until waits for a line that has a text.
func (g *match) until(text string) string {
	g.t.Helper()
	for g.lines.Scan() {
		if strings.Contains(g.lines.Text(), text) {
			return g.lines.Text()
		}
	}
	g.t.Fatalf("the game has ended before it said %q: %v", text, <-g.ended)
	return ""
}

// say says a word to it.
func (g *match) say(word string) {
	g.t.Helper()
	if _, err := io.WriteString(g.in, word+"\n"); err != nil {
		g.t.Fatal(err)
	}
}

func TestAGameIsJudgedByItsPlayersAndByWhatBackendsAccepted(t *testing.T) {
	mustServe(t)
	g := mustPlay(t)
	g.until(`"Players":3,"Broken":0`)
	g.say("flipped")
	g.until("flipped")
	g.until(`"Players":3`) // somebody has come since
	g.say("open")
	g.until(`"Open":{"blue":`)
	g.in.Close()
	if verdict := g.until("players "); !strings.Contains(verdict, "broken 0") || !strings.Contains(verdict, "after the flip: map[blue:") {
		t.Errorf("verdict: %s", verdict)
	}
	if err := <-g.ended; err != nil {
		t.Error(err)
	}
}

func TestACutBreaksTheGame(t *testing.T) {
	stop := mustServe(t)
	g := mustPlay(t)
	g.until(`"Players":3,"Broken":0`)
	go io.Copy(io.Discard, &lineReader{g.lines})
	stop()
	mustServe(t)
	g.in.Close()
	if err := <-g.ended; err == nil || !strings.Contains(err.Error(), "cut") {
		t.Errorf("the game ended with %v, want that players were cut", err)
	}
}

// lineReader reads on where a scanner is.
type lineReader struct{ s *bufio.Scanner }

func (r *lineReader) Read(b []byte) (int, error) {
	if !r.s.Scan() {
		return 0, io.EOF
	}
	return bytes.NewReader(r.s.Bytes()).Read(b)
}
