package config

import (
	"path"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Health is how a service's backends are asked whether they are well. Exactly one of TCP, HTTP, GRPC, UDP, Exec and External
// says how.
type Health struct {
	TCP      uint16 // port that takes connections
	HTTP     *HTTPCheck
	GRPC     *GRPCCheck
	UDP      *UDPCheck
	Exec     []string // a program's whole path, and its arguments
	External bool     // somebody else says it, by ebbtide health

	Every   time.Duration // between two checks of a backend
	Timeout time.Duration // of one
	Rise    int           // checks that pass in a row, until a sick backend is well
	Fall    int           // checks that fail in a row, until it is sick
	Panic   float64       // share of healthy backends below which all are used
}

// HTTPCheck asks for a page.
type HTTPCheck struct {
	Port   uint16
	Path   string
	TLS    bool
	Trust  *Trust // whose certificate has to be shown; nil: nobody looks at it, since the backend is asked by its address
	Status Statuses
}

// Trust is what a certificate has to be.
type Trust struct {
	CA         string // file of those who may have signed it; empty: the system's
	ServerName string // whom it is of, who is asked for, too; empty: the backend's address
}

// Statuses are those of one that is well. The zero value has none, and stands for 200 to 399.
type Statuses struct{ First, Last uint16 }

// Has says whether a status is one of them.
func (s Statuses) Has(status int) bool {
	if s == (Statuses{}) {
		s = Statuses{200, 399}
	}
	return int(s.First) <= status && status <= int(s.Last)
}

// GRPCCheck is grpc.health.v1 (github.com/grpc/grpc, doc/health-checking.md), without TLS.
type GRPCCheck struct {
	Port    uint16
	Service string // "": the whole server
}

// UDPCheck sends a datagram and wants an answer that begins with Expect.
type UDPCheck struct {
	Port         uint16
	Send, Expect string
}

// What holds where the file says nothing, and the most that it may say.
const (
	defaultHealthEvery   = 2 * time.Second
	defaultHealthTimeout = time.Second
	defaultRise          = 2
	defaultFall          = 3
	defaultPanic         = 0.5
	maxHealthTime        = time.Hour
	maxRise              = 100
	maxProbe             = 1024 // bytes of a datagram
)

var healthKinds = []string{"tcp", "http", "grpc", "udp", "exec", "external"}

// health reads how backends are asked.
func (v value) health() *Health {
	v.remember()
	h := &Health{Every: defaultHealthEvery, Timeout: defaultHealthTimeout, Rise: defaultRise, Fall: defaultFall, Panic: defaultPanic}
	fields, ok := v.mapping(append([]string{"every", "timeout", "rise", "fall", "panic"}, healthKinds...)...)
	if !ok {
		return h
	}
	var kinds []string
	for _, kind := range healthKinds {
		if at, ok := fields.get(kind); ok {
			kinds = append(kinds, kind)
			at.healthKind(kind, h)
		}
	}
	if len(kinds) != 1 {
		v.fail("want one of %s", strings.Join(healthKinds, ", "))
	}
	fields.checkTime("every", &h.Every)
	fields.checkTime("timeout", &h.Timeout)
	fields.times("rise", &h.Rise)
	fields.times("fall", &h.Fall)
	if at, ok := fields.get("panic"); ok {
		h.Panic = at.share()
	}
	return h
}

func (v value) healthKind(kind string, h *Health) {
	switch kind {
	case "tcp":
		h.TCP = v.checkPort()
	case "exec":
		h.Exec = v.argv()
	case "external":
		if h.External = v.yesOrNo(); !h.External {
			v.fail("want true")
		}
	case "http":
		h.HTTP = v.httpCheck()
	case "grpc":
		if fields, ok := v.mapping("port", "service"); ok {
			h.GRPC = &GRPCCheck{Port: fields.checkPort()}
			fields.string("service", &h.GRPC.Service)
		}
	case "udp":
		if fields, ok := v.mapping("port", "send", "expect"); ok {
			h.UDP = &UDPCheck{Port: fields.checkPort()}
			fields.string("send", &h.UDP.Send)
			fields.string("expect", &h.UDP.Expect)
		}
	}
}

func (v value) httpCheck() *HTTPCheck {
	c := &HTTPCheck{Path: "/"}
	fields, ok := v.mapping("port", "path", "tls", "status")
	if !ok {
		return c
	}
	c.Port = fields.checkPort()
	fields.string("path", &c.Path)
	if !path.IsAbs(c.Path) {
		v.fail("path: want one that begins with /, got %s", quote(c.Path))
	}
	if at, ok := fields.get("tls"); ok {
		c.TLS, c.Trust = at.tlsCheck()
	}
	if at, ok := fields.get("status"); ok {
		c.Status = at.statuses()
	}
	return c
}

// tlsCheck reads whether a check is encrypted, and what the certificate has to be.
func (v value) tlsCheck() (bool, *Trust) {
	if v.resolved().Kind != yaml.MappingNode {
		return v.yesOrNo(), nil
	}
	t := &Trust{}
	fields, ok := v.mapping("ca", "server_name")
	if !ok {
		return true, t
	}
	fields.string("ca", &t.CA)
	fields.string("server_name", &t.ServerName)
	switch {
	case *t == (Trust{}):
		v.fail("want ca, server_name or both; true is TLS without a look at the certificate")
	case t.CA != "" && !path.IsAbs(t.CA):
		v.fail("ca: want a file's whole path, such as /etc/ebbtide/ca.pem, got %s", quote(t.CA))
	}
	return true, t
}

// statuses reads one status, or from which to which.
func (v value) statuses() (s Statuses) {
	text, ok := v.text()
	if !ok {
		return s
	}
	first, last, several := strings.Cut(text, "..")
	if !several {
		last = first
	}
	lo, errLo := strconv.ParseUint(first, 10, 16)
	hi, errHi := strconv.ParseUint(last, 10, 16)
	if errLo != nil || errHi != nil || lo < 100 || hi > 599 || lo > hi {
		v.fail("want a status such as 204, or several such as 200..399, got %s", quote(text))
		return s
	}
	return Statuses{uint16(lo), uint16(hi)}
}

func (v value) checkPort() uint16 {
	n, _ := v.number(1, 65535)
	return uint16(n)
}

func (m mapping) checkPort() uint16 {
	v, ok := m.need("port")
	if !ok {
		return 0
	}
	return v.checkPort()
}

func (m mapping) string(key string, at *string) {
	v, ok := m.get(key)
	if !ok {
		return
	}
	if text, ok := v.text(); ok {
		if *at = text; len(text) > maxProbe {
			v.fail("%d bytes are more than %d", len(text), maxProbe)
		}
	}
}

func (m mapping) checkTime(key string, at *time.Duration) {
	v, ok := m.get(key)
	if !ok {
		return
	}
	d, ok := v.duration()
	if ok && (d < time.Second || d > maxHealthTime) {
		v.fail("want 1s to %s, got %s", short(maxHealthTime), short(d))
	}
	*at = d
}

func (m mapping) times(key string, at *int) {
	if v, ok := m.get(key); ok {
		n, _ := v.number(1, maxRise)
		*at = int(n)
	}
}
