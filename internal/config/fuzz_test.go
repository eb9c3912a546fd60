package config

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// FuzzParse looks for a panic, for a mistake that is not one line of a place
// in the file, and for a configuration that breaks its own promises.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	if example, err := os.ReadFile("../../ebbtide.example.yaml"); err == nil {
		f.Add(example)
	}
	for _, seed := range []string{
		"", "[]", "interfaces: &a [*a]", "services: {w: {pools: {blue: *x}}}", "<<: {interfaces: [a]}",
		"{interfaces: [e], services: {w: {listeners: [{vip: ::1, protocol: tcp, port: 1-2}], pools: {blue: {version: 1.10, backends: [{address: [10.0.0.1, fd00::1]}]}}}}}",
		"max_flows: !!int \"a\\nb\"", "? {a: b}\n: c", "a: |\n  b\n--- c", "services: {\"a\\nb\": 1, ~: 2, \"\": 3}",
		strings.Replace(sound, "10.0.2.2", "fe80::1%\\n", 1), "\ufeff" + sound, "%YAML 1.2\n---\n" + sound,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("f", data)
		if err == nil {
			mustHold(t, cfg)
			return
		}
		var mistakes Errors
		if cfg != nil || !errors.As(err, &mistakes) || len(mistakes) == 0 {
			t.Fatalf("%v, %v", cfg, err)
		}
		for _, m := range mistakes {
			if strings.ContainsAny(m.Error(), "\n\r") || m.Reason == "" || m.Line < 0 || m.Line > bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+2 {
				t.Fatalf("%+v", m)
			}
		}
	})
}

// mustHold checks what the rest of the program takes for granted.
func mustHold(t *testing.T, cfg *Config) {
	byName := func(a, b Service) int { return strings.Compare(a.Name, b.Name) }
	if len(cfg.Interfaces) == 0 || cfg.MaxFlows < MinMaxFlows || !slices.IsSortedFunc(cfg.Services, byName) {
		t.Fatalf("%+v", cfg)
	}
	for _, s := range cfg.Services {
		if !isServiceName(s.Name) || len(s.Listeners) == 0 || len(s.Pools) == 0 || s.Pools[Blue].Version == s.Pools[Green].Version {
			t.Fatalf("%+v", s)
		}
		for _, l := range s.Listeners {
			if badAddress(l.VIP) != "" || l.First == 0 || l.Last < l.First {
				t.Fatalf("%+v", l)
			}
			for _, p := range s.Pools {
				if p.Version == "" || !slices.ContainsFunc(p.Backends, func(b Backend) bool { return b.AddrFor(l.VIP).IsValid() }) {
					t.Fatalf("%+v", p)
				}
			}
		}
	}
}
