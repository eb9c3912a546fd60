package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Environment is what runs where, on one host.
type Environment struct {
	Host       string
	Version    string
	ConfigFile string
	Places     []Place
}

// Place is one service of it.
type Place struct {
	Service     string
	Forwarding  string
	Listeners   []string
	Generations []Resident
	Lock        *api.Lock
	Release     string // that is under way, in words
	WayBack     string // what to do to go back, in words
	Command     string // the same as a command, "" for none
}

// Resident is a generation in it.
type Resident struct {
	api.GenerationRef
	State    string
	Roles    []string
	Since    time.Time
	By       string
	Backends []Server
}

// Server is a backend: its addresses, of each family one, and its port where it has one of its own.
type Server struct {
	Addresses []string
	Port      uint16
}

func (s Server) String() string {
	text := strings.Join(s.Addresses, "+")
	if s.Port != 0 {
		text += fmt.Sprintf(" port %d", s.Port)
	}
	return text
}

// Markdown writes environment.md. It is the same for the same environment: what was written before it stays when nothing
// has changed.
func (e Environment) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# What runs on %s\n\n", markdown(e.Host))
	fmt.Fprintf(&b, "Written by ebbtide %s whenever a generation comes, goes or changes its place. The configuration is %s.\n",
		markdown(e.Version), code(e.ConfigFile))
	if len(e.Places) == 0 {
		b.WriteString("\nThere are no services.\n")
		return []byte(b.String())
	}
	b.WriteString("\n")
	header(&b, "service", "takes new sessions", "version", "since", "by")
	for _, p := range e.Places {
		for _, g := range p.Generations {
			if g.State == api.StateLive {
				row(&b, markdown(p.Service), markdown(nameOf(g.GenerationRef)), markdown(g.Version), moment(g.Since), markdown(orDash(g.By)))
			}
		}
	}
	for _, p := range e.Places {
		p.markdown(&b)
	}
	return []byte(b.String())
}

func (p Place) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", markdown(p.Service))
	fmt.Fprintf(b, "Listens on %s, forwarding %s.\n\n", markdown(strings.Join(p.Listeners, ", ")), p.Forwarding)
	header(b, "generation", "colour", "version", "state", "role", "since", "by", "backends")
	for _, g := range p.Generations {
		row(b, fmt.Sprint(g.Number), orDash(g.Colour), markdown(g.Version), g.State, orDash(strings.Join(g.Roles, ", ")),
			moment(g.Since), markdown(orDash(g.By)), markdown(orDash(someOf(g.Backends))))
	}
	if p.Lock != nil {
		fmt.Fprintf(b, "\nLocked by %s until %s: %s\n", markdown(p.Lock.By), moment(p.Lock.Until), markdown(p.Lock.Reason))
	}
	if p.Release != "" {
		fmt.Fprintf(b, "\nUnder way: %s.\n", markdown(p.Release))
	}
	fmt.Fprintf(b, "\n**To go back:** %s\n", markdown(p.WayBack))
	if p.Command != "" {
		fmt.Fprintf(b, "\n    %s\n", plain(p.Command))
	}
}

// mostBackends bounds the list of a generation's backends.
const mostBackends = 20

func someOf(backends []Server) string {
	var out []string
	for _, b := range backends[:min(len(backends), mostBackends)] {
		out = append(out, b.String())
	}
	if n := len(backends) - mostBackends; n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}

// nameOf a generation is what an operator calls it.
func nameOf(g api.GenerationRef) string {
	if g.Colour == "" {
		return fmt.Sprintf("generation %d", g.Number)
	}
	return fmt.Sprintf("generation %d (%s)", g.Number, g.Colour)
}

// code is text in a font of fixed width.
func code(text string) string {
	text = plain(text)
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + text + " " + fence
	}
	return fence + text + fence
}
