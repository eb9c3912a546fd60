package config

import (
	"errors"
	"strings"
	"testing"
)

func staged(colour Colour, version, was, pool string) Staged {
	return Staged{"lobby", colour, version, was, []byte(pool)}
}

func TestAStagedPoolStandsUntilTheFileHasItsVersionOrAnotherOne(t *testing.T) {
	const pool = "backends:\n  - {address: 10.0.3.1}\n"
	v8 := staged(Green, "v8", "", pool)
	parse := func(text string, list ...Staged) Service {
		t.Helper()
		cfg, err := WithStaged("f", []byte(text), list)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := cfg.Service("lobby")
		if on := s.Pools[Green]; (len(cfg.Staged) == 1) != (on.Version == "v8" && on.Backends[0].Addresses[0] == ip("10.0.3.1")) {
			t.Errorf("%d staged, and green is %+v", len(cfg.Staged), on)
		}
		return s
	}
	with := func(version string) string {
		return sound + "      green: {version: " + version + ", backends: [{address: 10.0.4.1}]}\n"
	}
	if s := parse(sound, v8); s.Pools[Green].Version != "v8" || s.Pools[Blue].Version != "v7" {
		t.Errorf("%+v", s.Pools)
	}
	if s := parse(with("v8"), v8); s.Pools[Green].Backends[0].Addresses[0] != ip("10.0.4.1") {
		t.Errorf("the file has the version, and is not followed: %+v", s.Pools)
	}
	if s := parse(with("v9"), v8); s.Pools[Green].Version != "v9" {
		t.Errorf("the file has another version, and is not followed: %+v", s.Pools)
	}
	if s := parse(with("v6"), staged(Green, "v8", "v6", pool)); s.Pools[Green].Version != "v8" {
		t.Errorf("the file has what it had, and the pool does not stand: %+v", s.Pools)
	}
	gone := v8
	gone.Service = "moon"
	parse(sound, gone)
}

func TestMistakesOfStagedPoolsAreNamed(t *testing.T) {
	for _, row := range []struct{ name, version, pool, want string }{
		{"an address", "v8", "backends:\n  - {address: nowhere}\n", `f:2: services.lobby.pools.green.backends[0].address: "nowhere" is not an IP address`},
		{"no backends", "v8", "version: v8\n", "services.lobby.pools.green.backends: missing"},
		{"another version", "v8", "version: v9\nbackends: [{address: 10.0.3.1}]\n", "f:1: services.lobby: the pool is of version v9, not of v8"},
		{"a version that is live", "v7", "backends: [{address: 10.0.3.1}]\n", ""},
		{"a list", "v8", "[10.0.3.1]\n", "f:1: services.lobby: a pool is a map with the key backends, got a list"},
		{"no YAML", "v8", "{", "the pool staged for lobby:2: not YAML"},
		{"a backend of another family than the listeners'", "v8", `backends: [{address: "fd00::1"}]`, "services.lobby.pools.green"},
	} {
		_, err := WithStaged("f", []byte(sound), []Staged{staged(Green, row.version, "", row.pool)})
		if mistakes := (Errors)(nil); row.want != "" && (!errors.As(err, &mistakes) || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
}
