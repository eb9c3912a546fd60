package control

import (
	"slices"
	"sync"

	"github.com/ebbtide/ebbtide/internal/disk"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// mostOwed bounds what is kept for the journal while it can't be written.
const mostOwed = 1000

// owed are events that have happened, and that the journal could not take: ends of acts, verdicts. They come into it before
// the next event. A daemon that ends meanwhile leaves the acts without an end, and the next one finds out.
type owed struct {
	mu     sync.Mutex
	events []journal.Event
}

// append writes what is owed, and then an event.
func (o *owed) append(j *journal.Journal, e journal.Event) (journal.Event, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.pay(j); err != nil {
		return e, err
	}
	return j.Append(e)
}

// pay writes what is owed. The lock is held.
func (o *owed) pay(j *journal.Journal) error {
	for len(o.events) > 0 {
		if _, err := j.Append(o.events[0]); disk.Is(err) { // what the journal takes at no time stands in nobody's way
			return err
		}
		o.events = o.events[1:]
	}
	o.events = nil
	return nil
}

// keep owes an event, and says whether there was room for it.
func (o *owed) keep(e journal.Event) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) >= mostOwed {
		return false
	}
	o.events = append(slices.Clip(o.events), e)
	return true
}

// journal writes an event that comes before what it describes.
func (c *Controller) journal(e journal.Event, before, after any) (journal.Event, error) {
	var err error
	if e.Before, err = raw(before); err != nil {
		return e, err
	}
	if e.After, err = raw(after); err != nil {
		return e, err
	}
	written, err := c.owed.append(c.opt.Journal, e)
	if err != nil {
		return e, err
	}
	return written, nil
}

// tell journals what has happened already. What can't be written now is written as soon as that is possible.
func (c *Controller) tell(e journal.Event, before, after any) {
	e.Time = c.opt.Now().UTC()
	var err error
	if e, err = c.journal(e, before, after); err == nil {
		return
	}
	late := disk.Is(err) && c.owed.keep(e)
	c.log.Error("what has happened is not in the journal yet", "act", e.Act, "service", e.Service, "stage", e.Stage, "kept", late, "err", err)
}

// payJournal writes what is owed to the journal, when nothing else does.
func (c *Controller) payJournal() {
	c.owed.mu.Lock()
	defer c.owed.mu.Unlock()
	if n := len(c.owed.events); n > 0 && c.owed.pay(c.opt.Journal) == nil {
		c.log.Info("the journal has what it could not be told before", "events", n)
	}
}
