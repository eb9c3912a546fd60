package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// Causes knows from the journal's events who brought each generation where it is. The zero Causes is ready.
type Causes struct {
	open     map[uint64]journal.Event // acts that have begun
	by       map[cause]string
	releases map[string]string // by service: whose release was stepped last
}

// cause is of a generation that came into a state of api.Generation.
type cause struct {
	service string
	number  uint32
	state   string
}

// liveIs is what flips change.
type liveIs struct {
	Live api.GenerationRef `json:"live"`
}

// Add takes the next event. One that it can't read is of another version, and of no account.
func (c *Causes) Add(e journal.Event) {
	if c.open == nil {
		c.open, c.by, c.releases = map[uint64]journal.Event{}, map[cause]string{}, map[string]string{}
	}
	switch e.Stage {
	case journal.Begun:
		c.open[e.Seq] = e
	case journal.Failed:
		delete(c.open, e.Of)
	case journal.Done:
		if begun, ok := c.open[e.Of]; ok {
			delete(c.open, e.Of)
			c.done(begun)
		}
	case journal.Note:
		c.note(e)
	}
}

func (c *Causes) done(e journal.Event) {
	by := c.who(e)
	switch e.Act {
	case "flip", "rollback":
		var was, is liveIs
		if json.Unmarshal(e.Before, &was) == nil {
			c.by[cause{e.Service, was.Live.Number, api.StateDraining}] = by
		}
		if json.Unmarshal(e.After, &is) == nil {
			c.by[cause{e.Service, is.Live.Number, api.StateLive}] = by
		}
	case "reload", "start", "stage":
		var file struct{ Changes []api.Change }
		if json.Unmarshal(e.After, &file) != nil {
			return
		}
		for _, change := range file.Changes {
			var number uint32
			if n, _ := fmt.Sscanf(change.What, "new generation %d on ", &number); n == 1 {
				c.by[cause{change.Service, number, api.StateCandidate}] = by
			}
			if n, _ := fmt.Sscanf(change.What, "generation %d goes live", &number); n == 1 {
				c.by[cause{change.Service, number, api.StateLive}] = by
			}
		}
	}
}

// note remembers whose a release is: what it does, the daemon does.
func (c *Causes) note(e journal.Event) {
	if r, ok := releaseOf(e); ok {
		c.releases[e.Service] = fmt.Sprintf("%s, by release %d", r.By, r.Number)
	}
}

// who acted, and why.
func (c *Causes) who(e journal.Event) string {
	by := e.Actor.String()
	if of := c.releases[e.Service]; e.Actor.Daemon && of != "" && strings.HasPrefix(e.Reason, "release ") {
		return of
	}
	if e.Reason != "" {
		by += ": " + e.Reason
	}
	return by
}

// Of says who brought a generation into its state, "" when the journal does not know.
func (c *Causes) Of(service string, number uint32, state string) string {
	switch state {
	case api.StateDrained, api.StateInconclusive: // by its sessions, since it drains
		state = api.StateDraining
	}
	return c.by[cause{service, number, state}]
}
