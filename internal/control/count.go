package control

import (
	"sync"
	"time"
)

// counting lets those share a pass of the sweeper who all want one that begins after they asked: a pass looks at every flow,
// whoever asks.
type counting struct {
	mu   sync.Mutex
	next *counted  // one that has not begun
	rest time.Time // until when none begins
}

// countShare: where many ask, passes take one part in so many of a CPU, and whoever asks meanwhile shares the next one. One
// who is alone does not wait.
const countShare = 5

// counted is what came of a shared pass.
type counted struct {
	over   chan struct{}
	shared bool
	result sweepResult
	err    error
}

// countSoon is a pass that begins after the call. The controller's lock is not held: others may change the kernel meanwhile.
func (c *Controller) countSoon() (sweepResult, error) {
	c.counting.mu.Lock()
	mine := c.counting.next
	if mine != nil {
		mine.shared = true
		c.counting.mu.Unlock()
		<-mine.over
		return mine.result, mine.err
	}
	mine = &counted{over: make(chan struct{})}
	c.counting.next = mine
	rest := time.Until(c.counting.rest)
	c.counting.mu.Unlock()
	defer close(mine.over)
	time.Sleep(rest)
	c.sweeping.Lock() // whoever asks while another pass runs shares this one
	defer c.sweeping.Unlock()
	c.counting.mu.Lock()
	c.counting.next = nil
	c.counting.mu.Unlock()
	mine.result, mine.err = c.passNow()
	c.counting.mu.Lock()
	if mine.shared {
		c.counting.rest = time.Now().Add((countShare - 1) * mine.result.took)
	}
	c.counting.mu.Unlock()
	return mine.result, mine.err
}
