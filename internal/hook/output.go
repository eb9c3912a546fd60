package hook

import (
	"fmt"
	"strings"
)

// What is kept of an output: the first bytes and the last ones, each so many.
const keptEnd = 8 << 10

// output keeps the beginning and the end of what is written to it. It never blocks and never fails.
type output struct {
	head  []byte
	tail  []byte // up to twice what is kept
	total int64
}

func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	o.total += int64(n)
	if room := keptEnd - len(o.head); room > 0 {
		first := min(room, len(p))
		o.head, p = append(o.head, p[:first]...), p[first:]
	}
	if over := len(p) - keptEnd; over > 0 {
		o.tail, p = o.tail[:0], p[over:]
	}
	if len(o.tail)+len(p) > 2*keptEnd {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-keptEnd:]...)
	}
	o.tail = append(o.tail, p...)
	return n, nil
}

// String is what was kept, and how much lies between.
func (o *output) String() string {
	tail := o.tail[max(0, len(o.tail)-keptEnd):]
	between := ""
	if left := o.total - int64(len(o.head)+len(tail)); left > 0 {
		between = fmt.Sprintf("\n[%d bytes left out]\n", left)
	}
	return strings.ToValidUTF8(string(o.head)+between+string(tail), "\uFFFD")
}

// lastLine is for a message: what a program said last is mostly why it failed.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	line := text[strings.LastIndexByte(text, '\n')+1:]
	if len(line) > 200 {
		line = line[:200] + "..."
	}
	return line
}
