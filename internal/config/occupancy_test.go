package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func occupancyFile(text string) string {
	return strings.Replace(sound, "    forwarding: nat", "    forwarding: nat\n    occupancy: "+text, 1)
}

func TestHowBackendsTellTheirOccupancy(t *testing.T) {
	for text, want := range map[string]Occupancy{
		`{http: "http://{address}:9000/players"}`: {
			HTTP: "http://{address}:9000/players", Every: 5 * time.Second, Timeout: time.Second, Players: "players", Free: "free",
		},
		`{http: "https://{address}/metrics", every: 500ms, timeout: 2s, players: game_players, free: game_slots_free}`: {
			HTTP: "https://{address}/metrics", Every: 500 * time.Millisecond, Timeout: 2 * time.Second, Players: "game_players", Free: "game_slots_free",
		},
		`{external: true, every: 1m}`: {External: true, Every: time.Minute, Timeout: time.Second, Players: "players", Free: "free"},
	} {
		cfg, err := Parse("f", []byte(occupancyFile(text)))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		s, _ := cfg.Service("lobby")
		if s.Occupancy == nil || !reflect.DeepEqual(*s.Occupancy, want) {
			t.Errorf("%s: %+v, want %+v", text, s.Occupancy, want)
		}
	}
}

func TestMistakesInOccupancyAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{every: 1s}`: "occupancy: want one of http, external",
		`{http: "http://{address}/", external: true}`:  "occupancy: want one of http, external",
		`{external: false}`:                            "occupancy.external: want true",
		`{http: "http://192.0.2.7/players"}`:           "occupancy.http: want {address} in it",
		`{http: "{address}:9000"}`:                     "occupancy.http: want a URL such as http://{address}:9000/players",
		`{http: "ftp://{address}/"}`:                   "occupancy.http: want a URL",
		`{http: "http://{address}/", every: 1ms}`:      "occupancy.every: want 100ms to 1h, got 1ms",
		`{http: "http://{address}/", free: ""}`:        "occupancy.free: want a name of 1 to 64 bytes",
		`{external: true, players: x}`:                 "occupancy.players: nobody is asked",
		`{http: "http://{address}/", capacity: 9}`:     "occupancy.capacity: unknown key",
		`{http: "http://{address}/", players: {a: b}}`: "occupancy.players: want text, got a map",
		`[http]`: "occupancy: want a map, got a list",
		`{http: "http://{address}/", timeout: 2h, every: 10h}`: "occupancy.timeout: want 100ms to 1h",
	} {
		if _, err := Parse("f", []byte(occupancyFile(text))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestABackendIsAskedAtItsAddress(t *testing.T) {
	o := Occupancy{HTTP: "http://{address}:9000/p?of={address}"}
	for addr, want := range map[string]string{
		"192.0.2.7":   "http://192.0.2.7:9000/p?of=192.0.2.7",
		"2001:db8::7": "http://[2001:db8::7]:9000/p?of=[2001:db8::7]",
	} {
		if got := o.URL(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
