package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

const lobbyMode = "    forwarding: nat"

func TestTestersAreAddressesAndPrefixes(t *testing.T) {
	cfg := mustParse(t, strings.Replace(sound, lobbyMode, lobbyMode+"\n    release: {testers: [198.51.100.0/24, 192.0.2.7, 0.0.0.0/0]}", 1))
	want := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("0.0.0.0/0")}
	if lobby, _ := cfg.Service("lobby"); !reflect.DeepEqual(lobby.Testers, want) {
		t.Errorf("testers %v, want %v", lobby.Testers, want)
	}
	if cfg := mustParse(t, strings.Replace(sound, lobbyMode, lobbyMode+"\n    release: {}", 1)); cfg.Services[0].Testers != nil {
		t.Error("testers out of nothing")
	}
}

func TestMistakesOfTestersAreNamed(t *testing.T) {
	with := func(testers string) string { return lobbyMode + "\n    release: {testers: " + testers + "}" }
	at := "18: services.lobby.release.testers"
	refuse(t, []mistake{
		{"no list", lobbyMode, with("198.51.100.7"), []string{at + `: want a list, got "198.51.100.7"`}},
		{"an empty list", lobbyMode, with("[]"), []string{at + ": empty list"}},
		{"no address", lobbyMode, with("[alice]"), []string{at + `[0]: want an address or a prefix of clients such as 198.51.100.0/24, got "alice"`}},
		{"a length that is too long", lobbyMode, with("[198.51.100.0/33]"),
			[]string{at + `[0]: want an address or a prefix of clients such as 198.51.100.0/24, got "198.51.100.0/33"`}},
		{"bits behind the length", lobbyMode, with("[198.51.100.7/24]"),
			[]string{at + "[0]: 198.51.100.7/24 has bits behind its length: write 198.51.100.0/24"}},
		{"a mapped address", lobbyMode, with(`["::ffff:192.0.2.1"]`),
			[]string{at + "[0]: ::ffff:192.0.2.1 is an IPv4 address mapped into IPv6: write 192.0.2.1"}},
		{"a mapped prefix", lobbyMode, with(`["::ffff:192.0.2.0/120"]`),
			[]string{at + `[0]: want an address or a prefix of clients such as 198.51.100.0/24, got "::ffff:192.0.2.0/120"`}},
		{"a zone", lobbyMode, with(`["fe80::1%eth0"]`),
			[]string{at + `[0]: want an address or a prefix of clients such as 198.51.100.0/24, got "fe80::1%eth0"`}},
		{"one that is there twice", lobbyMode, with("[192.0.2.7, 192.0.2.7/32]"),
			[]string{at + "[1]: 192.0.2.7/32 is already services.lobby.release.testers[0] on line 18"}},
		{"a family in which nobody comes", lobbyMode, with(`["2001:db8::/32"]`),
			[]string{at + "[0]: 2001:db8::/32 is IPv6, and no listener of the service is"}},
	})
}
