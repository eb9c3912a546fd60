package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Occupancy is how a service's backends tell how many players they hold, and how many more they take.
type Occupancy struct {
	HTTP     string // where they are asked, with addressMark for a backend's address; "": External
	External bool   // somebody else says it, by ebbtide occupancy

	Every   time.Duration // between two questions, or at least so often somebody says it
	Timeout time.Duration // of an answer
	Players string        // what an answer calls those that it holds
	Free    string        // and how many more it takes
}

// addressMark stands in a URL for a backend's address.
const addressMark = "{address}"

// OccupancyVoid is after how many times Every without news a figure counts no more.
const OccupancyVoid = 3

// What holds where the file says nothing, and how often a backend may be asked.
const (
	defaultOccupancyEvery   = 5 * time.Second
	defaultOccupancyTimeout = time.Second
	minOccupancyTime        = 100 * time.Millisecond
	maxOccupancyTime        = time.Hour
)

// URL is where the backend of an address is asked.
func (o Occupancy) URL(addr netip.Addr) string {
	host := addr.String()
	if addr.Is6() {
		host = "[" + host + "]"
	}
	return strings.ReplaceAll(o.HTTP, addressMark, host)
}

func (v value) occupancy() *Occupancy {
	v.remember()
	o := &Occupancy{Every: defaultOccupancyEvery, Timeout: defaultOccupancyTimeout, Players: "players", Free: "free"}
	fields, ok := v.mapping("http", "external", "every", "timeout", "players", "free")
	if !ok {
		return o
	}
	at, asked := fields.get("http")
	if asked {
		o.HTTP = at.backendURL()
	}
	said, external := fields.get("external")
	if external {
		if o.External = said.yesOrNo(); !o.External {
			said.fail("want true")
		}
	}
	if asked == external {
		v.fail("want one of http, external")
	}
	fields.occupancyTime("every", &o.Every)
	fields.occupancyTime("timeout", &o.Timeout)
	fields.word("players", external, &o.Players)
	fields.word("free", external, &o.Free)
	return o
}

// backendURL reads a URL that differs by backend: each would tell of the others otherwise.
func (v value) backendURL() string {
	text, ok := v.text()
	if !ok {
		return ""
	}
	u, err := url.Parse(strings.ReplaceAll(text, addressMark, "192.0.2.1"))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		v.fail("want a URL such as http://%s:9000/players, got %s", addressMark, quote(text))
	case !strings.Contains(text, addressMark):
		v.fail("want %s in it: all backends would be asked in one place", addressMark)
	}
	return text
}

func (m mapping) occupancyTime(key string, at *time.Duration) {
	v, ok := m.get(key)
	if !ok {
		return
	}
	d, ok := v.duration()
	if ok && (d < minOccupancyTime || d > maxOccupancyTime) {
		v.fail("want %s to %s, got %s", short(minOccupancyTime), short(maxOccupancyTime), short(d))
	}
	*at = d
}

// word reads what an answer calls a figure.
func (m mapping) word(key string, external bool, at *string) {
	v, ok := m.get(key)
	if !ok {
		return
	}
	text, ok := v.text()
	switch {
	case !ok:
	case external:
		v.fail("nobody is asked, so no answer has names")
	case text == "" || len(text) > maxShown:
		v.fail("want a name of 1 to %d bytes, got %s", maxShown, quote(text))
	default:
		*at = text
	}
}
