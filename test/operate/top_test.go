package operate

import (
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// terminal is one in which the real command line runs.
type terminal struct {
	io.Writer // what is typed
	mu        sync.Mutex
	screen    *vt.Emulator
	over      chan error
}

func (s *stage) mustShow(t *testing.T, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command("ebbtide", append(args, "--socket", s.host.Options().Socket)...)
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color", "NO_COLOR=1")
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{Writer: master, screen: vt.NewEmulator(100, 30), over: make(chan error, 1)}
	go io.Copy(master, term.screen) // what a terminal answers to questions; it ends with its file
	go term.follow(master)
	go func() { term.over <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill() // it may have ended
		master.Close()
		if pipe, ok := term.screen.InputPipe().(io.Closer); ok {
			pipe.Close()
		}
	})
	return term
}

// follow is what a terminal does with what a program writes.
func (term *terminal) follow(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		term.mu.Lock()
		term.screen.Write(buf[:n])
		term.mu.Unlock()
	}
}

// words is what is on the screen.
func (term *terminal) words() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return strings.Join(strings.Fields(term.screen.String()), " ")
}

func (term *terminal) shows(t *testing.T, what string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("wanted %q on the screen, and there is: %s", what, term.words())
		}
	})
	lab.Eventually(t, what+" on the screen", func() bool { return strings.Contains(term.words(), what) })
}

func (term *terminal) press(t *testing.T, key string) {
	t.Helper()
	if _, err := io.WriteString(term, key); err != nil {
		t.Fatal(err)
	}
}

func TestAFlipFromTheScreenMovesNobodyAndItsDrainIsSeenToTheEnd(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	s.mustRun(t)
	veteran := s.login(t, "blue")
	term := s.mustShow(t, "top", "--interval", "200ms")
	term.shows(t, "1 blue 1.9 live 2 ")
	term.press(t, "f")
	term.shows(t, "New sessions of world go to "+green2+". 2 sessions on "+blue1+" stay until they end by themselves.")
	term.press(t, "n")
	term.shows(t, "flip world: left")
	if live := s.generation(t, 1).State; live != api.StateLive {
		t.Fatalf("blue is %s after a flip that nobody confirmed", live)
	}
	term.press(t, "f")
	term.shows(t, "y flip any other key leaves it")
	term.press(t, "y")
	term.shows(t, "world: "+green2+" is live, new sessions on generation 1 since: 0")
	s.login(t, "green")
	term.shows(t, "1 blue 1.9 draining 2 ")
	term.shows(t, "2 green 2.0 live 2 ")
	s.mustBeWhole(t)
	veteran.Sessions()[1].Reset()
	veteran.Sessions()[0].Logout()
	term.shows(t, "1 blue 1.9 drained 0 ")
	term.press(t, "q")
	if err := <-term.over; err != nil {
		t.Errorf("it ends with %v", err)
	}
}
