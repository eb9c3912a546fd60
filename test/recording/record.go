package recording

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

// Record runs a command on a terminal of this size until it ends. The recording begins with the command as it would be
// typed. What the command makes of it is the error.
func Record(cmd *exec.Cmd, typed string, width, height int) (Cast, error) {
	c := Cast{Width: width, Height: height, Title: typed, Events: []Event{{0, "$ " + typed + "\r\n"}}}
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)})
	if err != nil {
		return c, fmt.Errorf("start %s on a terminal: %w", cmd, err)
	}
	defer screen.Close()
	readErr := c.follow(screen)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return c, fmt.Errorf("record %s: %w", cmd, err)
	}
	return c, nil
}

// follow writes down what comes until the end. The clock begins with the first of it: what a build took is nobody's.
func (c *Cast) follow(screen *os.File) error {
	var begin time.Time
	var rest []byte // of a character that has not come whole
	buf := make([]byte, 1<<16)
	for {
		n, err := screen.Read(buf)
		if errors.Is(err, syscall.EIO) { // how a terminal says that the last program has left it
			return nil
		}
		if err != nil {
			return err
		}
		if begin.IsZero() {
			begin = time.Now()
		}
		var whole []byte
		whole, rest = characters(append(rest, buf[:n]...))
		if len(whole) > 0 {
			c.Events = append(c.Events, Event{time.Since(begin).Round(time.Millisecond).Seconds(), string(whole)})
		}
	}
}

// characters splits off one at the end that is not whole.
func characters(text []byte) (whole, rest []byte) {
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i], text[i:]
			}
			break
		}
	}
	return text, nil
}
