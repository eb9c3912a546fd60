package control

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/report"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Files that tell others what runs where. They follow what changes, and nothing waits for them.
type Files struct {
	Environment string // for people, in Markdown; "": none
	Targets     string // for Prometheus' file-based service discovery; "": none
	TargetsPort uint16 // of each target; 0: its address alone
}

// environmentEvery is how often the files may be written: whatever changes meanwhile is in the next ones.
const environmentEvery = time.Second

// environmentLoop writes the files when something has changed that they tell, until the context ends.
func (c *Controller) environmentLoop(ctx context.Context) error {
	if c.opt.Files == (Files{}) {
		return nil
	}
	f := environmentFiles{c: c}
	for {
		more, seen := c.opt.Journal.More()
		c.mu.Lock()
		change, im := c.change, c.image
		c.mu.Unlock()
		if f.image != im || f.seen != seen || f.failed {
			f.write()
			select {
			case <-ctx.Done():
			case <-time.After(environmentEvery):
				continue
			}
		}
		select {
		case <-ctx.Done():
			f.write() // a second before the end may have had something
			return ctx.Err()
		case <-change:
		case <-more:
		}
	}
}

// environmentFiles is what the files were written from last.
type environmentFiles struct {
	c      *Controller
	causes report.Causes
	image  *image.Image
	seen   uint64 // number of the last event
	failed bool   // the last writing did, and that was told
}

// write writes both. A failure is told once, and tried again until it is none.
func (f *environmentFiles) write() {
	if err := f.tryWrite(); err != nil {
		if !f.failed {
			f.c.log.Error("the files that tell what runs where are not current", "err", err)
		}
		f.failed = true
		return
	}
	f.failed = false
}

func (f *environmentFiles) tryWrite() error {
	if _, err := f.c.opt.Journal.Read(f.seen, func(e journal.Event) error {
		f.causes.Add(e)
		f.seen = e.Seq
		return nil
	}); err != nil {
		return err
	}
	var env report.Environment
	env, f.image = f.c.environment(&f.causes)
	files := f.c.opt.Files
	if files.Environment != "" {
		if _, err := report.WriteFile(files.Environment, env.Markdown()); err != nil {
			return err
		}
	}
	if files.Targets == "" {
		return nil
	}
	data, err := env.Targets(files.TargetsPort)
	if err == nil {
		_, err = report.WriteFile(files.Targets, data)
	}
	return err
}

// environment is what runs where now.
func (c *Controller) environment(causes *report.Causes) (report.Environment, *image.Image) {
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	env := report.Environment{Host: host, Version: c.opt.Version, ConfigFile: c.opt.ConfigFile}
	if c.gone {
		return env, c.image
	}
	listeners := c.listeners()
	for _, index := range c.serviceIndexes() {
		s := c.image.Services[index]
		if s.Name == shadowName { // nobody plays there, and nobody is to scrape it
			continue
		}
		p := report.Place{Service: s.Name, Forwarding: forwardingName(s.Forwarding), Lock: c.lockOf(s.Name), Release: c.underWay(s.Name)}
		for _, l := range listeners[index] {
			p.Listeners = append(p.Listeners, fmt.Sprintf("%s %s %s", l.VIP, l.Protocol, l.Ports))
		}
		for _, g := range c.image.GenerationsOf(index) {
			p.Generations = append(p.Generations, c.resident(g, s.Name, causes))
		}
		p.WayBack, p.Command = c.goBack(index)
		env.Places = append(env.Places, p)
	}
	return env, c.image
}

func (c *Controller) resident(g uint16, service string, causes *report.Causes) report.Resident {
	rec := c.image.Generations[g]
	r := report.Resident{
		GenerationRef: c.ref(g), State: stateName(rec.State), Roles: c.rolesOf(g), Since: rec.Since.Truncate(time.Second),
		By: causes.Of(service, rec.Number, stateName(rec.State)),
	}
	for _, id := range c.image.BackendsOf(g) {
		if b := c.image.Backends[id]; b.Use != kernel.Removed {
			r.Backends = append(r.Backends, server(b))
		}
	}
	slices.SortFunc(r.Backends, func(a, b report.Server) int { return strings.Compare(a.String(), b.String()) })
	return r
}

func server(b image.Backend) report.Server {
	s := report.Server{Port: b.Port}
	for _, f := range kernel.Families() {
		if a := b.Addrs[f]; a.IsValid() && (f == kernel.IPv4 || a != b.Addrs[kernel.IPv4]) {
			s.Addresses = append(s.Addresses, a.String())
		}
	}
	return s
}

// underWay says in words which releases of a service are.
func (c *Controller) underWay(name string) string {
	var out []string
	for _, r := range c.state.Services[name].Releases {
		if !r.State.Over() {
			out = append(out, fmt.Sprintf("release %d of %s, to generation %d, %s since %s", r.Number, r.By, r.To.Number, r.State, r.Since.UTC().Format(time.RFC3339)))
		}
	}
	return strings.Join(out, "; ")
}

// goBack says how the service comes back to what was before, and the command that does it.
func (c *Controller) goBack(service uint16) (words, command string) {
	s := c.image.Services[service]
	if g, ok := c.wayBack(service); ok {
		ref := c.ref(g)
		return fmt.Sprintf("generation %d (%s, version %s) has its backends yet. New sessions go there again, and those that are left on it are at home.",
			ref.Number, ref.Colour, ref.Version), "ebbtide rollback " + s.Name
	}
	if s.Steer.Share > 0 {
		return fmt.Sprintf("the candidate has %s of the clients. Take them back; the sessions that it has end by themselves.", api.Percent(s.Steer.Share)),
			"ebbtide share " + s.Name + " 0%"
	}
	return "there is nothing to go back to: no generation in a pool was live before. Stage the version that you want and flip to it.", ""
}
