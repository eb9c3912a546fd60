package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestTheWebPageIsOffUnlessTheFileSaysWhere(t *testing.T) {
	for text, want := range map[string]string{"": "", "web: {listen: 127.0.0.1:8080}\n": "127.0.0.1:8080", "web:\n  listen: \"[::1]:80\"\n": "[::1]:80"} {
		cfg, err := Parse("f", []byte(text+sound))
		if err != nil {
			t.Fatal(err)
		}
		if at, _ := netip.ParseAddrPort(want); cfg.Web != at {
			t.Errorf("%q: the page is served on %s, want %s", text, cfg.Web, at)
		}
	}
}

func TestMistakesOfTheWebPageAreNamed(t *testing.T) {
	const only = " is not a loopback address such as 127.0.0.1 or ::1: reach the page from elsewhere by an SSH tunnel"
	for value, want := range map[string]string{
		"{listen: 0.0.0.0:8080}":               `1: web.listen: 0.0.0.0` + only,
		"{listen: 192.0.2.1:8080}":             `1: web.listen: 192.0.2.1` + only,
		`{listen: "[::ffff:127.0.0.1]:8080"}`:  `1: web.listen: ::ffff:127.0.0.1` + only,
		"{listen: 127.0.0.1}":                  `1: web.listen: want an address and a port such as 127.0.0.1:8080, got "127.0.0.1"`,
		"{listen: 127.0.0.1:0}":                `1: web.listen: want an address and a port such as 127.0.0.1:8080, got "127.0.0.1:0"`,
		"{listen: localhost:8080}":             `1: web.listen: want an address and a port such as 127.0.0.1:8080, got "localhost:8080"`,
		"{listen: [127.0.0.1:8080]}":           `1: web.listen: want text, got a list`,
		"{port: 8080, listen: 127.0.0.1:8080}": `1: web.port: unknown key: the keys here are listen`,
		"127.0.0.1:8080":                       `1: web: want a map, got "127.0.0.1:8080"`,
		"{}":                                   `1: web.listen: missing`,
	} {
		_, err := Parse("f", []byte("web: "+value+"\n"+sound))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", value, err, want)
		}
	}
}
