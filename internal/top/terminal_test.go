package top

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

var update = flag.Bool("update", false, "write testdata anew")

// patience is for what is expected; nothing waits so long that passes.
const patience = 20 * time.Second

// terminal is one that top runs in: what it shows is what a terminal makes of all that was written.
type terminal struct {
	t      *testing.T
	master *os.File
	mu     sync.Mutex
	screen *vt.Emulator
	raw    bytes.Buffer
	wrote  chan struct{} // has one when there is something new
	ended  chan error
}

// mustStart runs top in a terminal of this size until the test ends.
func mustStart(t *testing.T, daemon *apitest.Fake, clock *clock, width, height uint16, change func(*Options)) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: height, Cols: width}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, screen: vt.NewEmulator(int(width), int(height)), wrote: make(chan struct{}, 1), ended: make(chan error, 1)}
	opt := Options{
		In: slave, Out: slave, Environ: []string{"TERM=xterm-256color"}, Colour: true, Interval: 20 * time.Millisecond, Now: clock.now,
		Outlook: func(p api.DrainProgress, _ time.Time) string { return "3.1/s leave, empty at about 12:01:08" },
	}
	if change != nil {
		change(&opt)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { term.ended <- Run(ctx, daemon, opt) }()
	go io.Copy(master, term.screen) // what a terminal answers to questions; both end with their files
	go term.follow()
	t.Cleanup(func() {
		stop()
		if err, open := <-term.ended; open && err != nil {
			t.Error(err)
		}
		slave.Close()
		master.Close()
		if pipe, ok := term.screen.InputPipe().(io.Closer); ok {
			pipe.Close()
		}
	})
	return term
}

func (term *terminal) follow() {
	buf := make([]byte, 4096)
	for {
		n, err := term.master.Read(buf)
		if err != nil {
			return
		}
		term.mu.Lock()
		term.raw.Write(buf[:n])
		term.screen.Write(buf[:n])
		term.mu.Unlock()
		select {
		case term.wrote <- struct{}{}:
		default:
		}
	}
}

// text is the screen without what is blank at the ends of lines.
func (term *terminal) text() string {
	term.mu.Lock()
	lines := strings.Split(term.screen.String(), "\n")
	term.mu.Unlock()
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

func (term *terminal) bytes() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.raw.String()
}

// await waits until the screen is as wanted.
func (term *terminal) await(what string, as func() bool) {
	term.t.Helper()
	late := time.After(patience)
	for !as() {
		select {
		case <-term.wrote:
		case <-late:
			term.t.Fatalf("waited for %s on the screen:\n%s", what, term.text())
		}
	}
}

// shows waits for words, wherever lines are broken between them.
func (term *terminal) shows(what string) {
	term.t.Helper()
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	term.await(what, func() bool { return strings.Contains(words(term.text()), words(what)) })
}

// golden waits until the screen is that of a file.
func (term *terminal) golden(name string) {
	term.t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		time.Sleep(3 * time.Second) // only here: what is on the screen now will be wanted
		if err := os.WriteFile(path, []byte(term.text()), 0o644); err != nil {
			term.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		term.t.Fatal(err)
	}
	term.await("what is in "+path+" (write it anew with -update)", func() bool { return term.text() == string(want) })
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// ends waits until top has ended by itself.
func (term *terminal) ends() {
	term.t.Helper()
	select {
	case err := <-term.ended:
		if err != nil {
			term.t.Error(err)
		}
		close(term.ended)
	case <-time.After(patience):
		term.t.Fatalf("it has not ended:\n%s", term.text())
	}
}
