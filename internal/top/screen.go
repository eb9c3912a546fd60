package top

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// screen is the whole state; only Update changes it.
type screen struct {
	ctx    context.Context
	daemon api.Controller
	opt    Options
	paint  painter

	width, height int
	status        api.Status
	at            time.Time // of status, zero before the first
	away          error     // why there is no newer one
	seen          map[string]*history
	drains        map[string]api.DrainProgress // by service and generation
	events        []journal.Event              // the newest last
	service       string                       // that is shown

	asked   *act
	said    string // of the last act
	saidBad bool
	help    bool
}

// What the commands bring back.
type (
	looked struct {
		status api.Status
		at     time.Time
		err    error
	}
	timeToLook struct{}
	begun      struct {
		act act
		err error
	}
	done struct {
		verb, service, said string
		err                 error
	}
)

// keptEvents is more than a screen has room for.
const keptEvents = 50

func newScreen(ctx context.Context, daemon api.Controller, opt Options) screen {
	return screen{
		ctx: ctx, daemon: daemon, opt: opt, paint: newPainter(opt.Colour), service: opt.Service,
		seen: map[string]*history{}, drains: map[string]api.DrainProgress{},
	}
}

// Init implements tea.Model, as do Update and View.
func (s screen) Init() tea.Cmd { return s.look }

func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return s.press(msg.String())
	case timeToLook:
		return s, s.look
	case looked:
		s.take(msg)
		return s, tea.Tick(s.opt.Interval, func(time.Time) tea.Msg { return timeToLook{} })
	case again:
		s.take(looked(msg))
	case api.Event:
		s.hear(msg)
	case begun:
		s.said, s.asked = "", &msg.act
		if msg.err != nil {
			s.say(fmt.Sprintf("%s %s: %v", msg.act.verb, msg.act.service, msg.err), true)
			s.asked = nil
		}
	case done:
		s.say(msg.said, false)
		if msg.err != nil {
			s.say(fmt.Sprintf("%s %s: %v", msg.verb, msg.service, msg.err), true)
		}
		return s, s.lookOnce // what it did shall be seen at once
	}
	return s, nil
}

func (s screen) look() tea.Msg {
	status, err := s.daemon.Status(s.ctx)
	return looked{status, s.opt.Now(), err}
}

// lookOnce is a look that no other follows.
func (s screen) lookOnce() tea.Msg { return again(s.look().(looked)) }

// again is a look out of turn.
type again looked

func (s *screen) take(l looked) {
	s.away = l.err
	if l.err != nil {
		return
	}
	s.status, s.at = l.status, l.at
	for _, svc := range l.status.Services {
		if s.seen[svc.Name] == nil {
			s.seen[svc.Name] = &history{}
		}
		s.seen[svc.Name].add(l.at, svc)
	}
	if _, ok := s.shown(); !ok && len(l.status.Services) > 0 {
		s.service = l.status.Services[0].Name
	}
}

func (s *screen) hear(e api.Event) {
	if e.Drain != nil {
		s.drains[drainKey(e.Drain.Service, e.Drain.Generation.Number)] = *e.Drain
	}
	if e.Journal != nil && e.Journal.Stage != journal.Begun {
		s.events = append(s.events, *e.Journal)
		s.events = s.events[max(0, len(s.events)-keptEvents):]
	}
}

func drainKey(service string, generation uint32) string {
	return fmt.Sprintf("%s %d", service, generation)
}

func (s *screen) say(what string, bad bool) { s.said, s.saidBad = what, bad }

// shown is the service that is shown.
func (s screen) shown() (api.Service, bool) { return s.named(s.service) }

func (s screen) named(service string) (api.Service, bool) {
	for _, svc := range s.status.Services {
		if svc.Name == service {
			return svc, true
		}
	}
	return api.Service{}, false
}

func (s screen) press(k string) (tea.Model, tea.Cmd) {
	if s.asked != nil {
		return s.answer(k)
	}
	switch k {
	case "q", "ctrl+c", "esc":
		return s, tea.Quit
	case "ctrl+z":
		return s, tea.Suspend
	case "?", "h":
		s.help = !s.help
	case "tab", "right", "down":
		s.turn(1)
	case "shift+tab", "left", "up":
		s.turn(-1)
	default:
		return s.begin(k)
	}
	return s, nil
}

// turn shows another service.
func (s *screen) turn(by int) {
	n := len(s.status.Services)
	for i, svc := range s.status.Services {
		if svc.Name == s.service {
			s.service = s.status.Services[(i+by+n)%n].Name
			return
		}
	}
}

// begin asks about a verb.
func (s screen) begin(press string) (tea.Model, tea.Cmd) {
	svc, ok := s.shown()
	for _, k := range keys {
		if !ok || k.press != press {
			continue
		}
		return s, func() tea.Msg {
			a, err := k.begin(s.ctx, s.daemon, svc)
			a.verb, a.service, a.live = k.word, svc.Name, svc.Live.Number
			return begun{a, err}
		}
	}
	return s, nil
}

// answer does what was asked about, when the answer is y and nobody else has changed what is live meanwhile.
func (s screen) answer(k string) (tea.Model, tea.Cmd) {
	a := *s.asked
	s.asked = nil
	if k == "ctrl+c" {
		return s, tea.Quit
	}
	if k != "y" {
		s.say(a.verb+" "+a.service+": left", false)
		return s, nil
	}
	if svc, ok := s.named(a.service); !ok || svc.Live.Number != a.live {
		s.say(fmt.Sprintf("%s %s: what is live has changed meanwhile: look, and press the key again", a.verb, a.service), true)
		return s, nil
	}
	s.say(a.verb+" "+a.service+" …", false)
	return s, func() tea.Msg {
		said, err := a.do(s.ctx, s.daemon)
		return done{a.verb, a.service, said, err}
	}
}
