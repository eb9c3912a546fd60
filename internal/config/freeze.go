package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a host in a container may have no time zones of its own

	"github.com/robfig/cron/v3"
)

// What the freeze windows of a file may be.
const (
	MaxFreezes   = 100
	MinFreeze    = time.Minute
	MaxFreeze    = 366 * 24 * time.Hour
	maxFreezeWhy = 200 // bytes of a reason
)

// Freeze is a window that comes back, in which services are not changed.
type Freeze struct {
	Services []string      // sorted; none: all
	Cron     string        // when it begins, by the wall clock of TimeZone
	For      time.Duration // by that clock, too
	TimeZone string        // such as Europe/Berlin
	Reason   string
}

// placedFreeze is a freeze window and where the file names its services.
type placedFreeze struct {
	Freeze
	services []value
}

func (v value) freezes() []placedFreeze {
	items, ok := v.list()
	if !ok {
		return nil
	}
	if len(items) > MaxFreezes {
		v.fail("%d freeze windows are more than %d", len(items), MaxFreezes)
		return nil
	}
	var out []placedFreeze
	for _, item := range items {
		if f, ok := item.freeze(); ok {
			out = append(out, f)
		}
	}
	return out
}

func (v value) freeze() (placedFreeze, bool) {
	f := placedFreeze{Freeze: Freeze{TimeZone: "UTC"}}
	fields, ok := v.mapping("services", "cron", "for", "time_zone", "reason")
	if !ok {
		return f, false
	}
	if at, ok := fields.need("cron"); ok {
		f.Cron = at.cron()
	}
	if at, ok := fields.need("for"); ok {
		f.For = at.freezeLength()
	}
	if at, ok := fields.get("time_zone"); ok {
		f.TimeZone = at.timeZone()
	}
	if at, ok := fields.need("reason"); ok {
		f.Reason = at.freezeReason()
	}
	if at, ok := fields.get("services"); ok {
		f.services, _ = at.list()
	}
	return f, true
}

func (v value) cron() string {
	text, ok := v.text()
	if !ok {
		return ""
	}
	if _, err := ParseCron(text); err != nil {
		v.fail("%s", err)
	}
	return text
}

func (v value) freezeLength() time.Duration {
	d, ok := v.duration()
	switch {
	case !ok:
	case d < MinFreeze || d > MaxFreeze:
		v.fail("want %s to %s, got %s", short(MinFreeze), short(MaxFreeze), short(d))
	case d%time.Second != 0:
		v.fail("%s is not a whole number of seconds", short(d))
	}
	return d
}

func (v value) timeZone() string {
	name, ok := v.text()
	if !ok {
		return ""
	}
	if _, err := LoadZone(name); err != nil {
		v.fail("%s", err)
	}
	return name
}

func (v value) freezeReason() string {
	text, ok := v.text()
	if ok && (strings.TrimSpace(text) == "" || len(text) > maxFreezeWhy) {
		v.fail("want 1 to %d bytes: whoever is kept out wants to know", maxFreezeWhy)
	}
	return text
}

// checkFreezes finds the services that freeze windows name.
func checkFreezes(freezes []placedFreeze, services []Service) []Freeze {
	known := map[string]bool{}
	for _, s := range services {
		known[s.Name] = true
	}
	var out []Freeze
	for _, f := range freezes {
		f.Services = namesOf(f.services, known)
		out = append(out, f.Freeze)
	}
	return out
}

// namesOf reads a list of services, each of which has to be there, once.
func namesOf(list []value, known map[string]bool) (names []string) {
	first := map[string]value{}
	for _, v := range list {
		name, ok := v.text()
		before, twice := first[name]
		switch {
		case !ok:
		case !known[name]:
			v.fail("there is no service %s", quote(name))
		case twice:
			v.fail("%s is already %s on line %d", name, before.field, before.line)
		default:
			first[name] = v
			names = append(names, name)
		}
	}
	return names
}

// ParseCron reads five fields: minute, hour, day of the month, month and day of the week. Each time that the schedule it
// gives names is one of a wall clock, so it is asked in UTC. One that never comes is refused.
func ParseCron(text string) (cron.Schedule, error) {
	if strings.Contains(text, "=") { // the library would take TZ= here; we have a key for it
		return nil, fmt.Errorf("want five fields such as %q, got %s", "0 18 * * 5", quote(text))
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	s, err := parser.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("want five fields such as %q, got %s: %w", "0 18 * * 5", quote(text), err)
	case s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		return nil, fmt.Errorf("%s never comes", quote(text))
	}
	return s, nil
}

// LoadZone finds a time zone by its name in the IANA database, of which this program has a copy.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, errors.New("want the name of a time zone such as Europe/Berlin or UTC")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("want the name of a time zone such as Europe/Berlin or UTC, got %s", quote(name))
	}
	return zone, nil
}
