package config

import "testing"

func TestLimitsAreReadWithTheirDefaults(t *testing.T) {
	for form, want := range map[string]Limits{
		"":                                    {},
		"limits: {half_open: 25%}":            {HalfOpen: 25},
		"limits: {new_flows: {rate: 50}}":     {NewFlows: NewFlows{Rate: 50, Burst: 100, IPv4: 24, IPv6: 56}},
		"limits: {new_flows: {rate: 900000}}": {NewFlows: NewFlows{Rate: 900000, Burst: 1 << 20, IPv4: 24, IPv6: 56}},
		"limits: {new_flows: {rate: 5, burst: 3, ipv4_prefix: 32, ipv6_prefix: 64}, half_open: 100%}": {
			NewFlows: NewFlows{Rate: 5, Burst: 3, IPv4: 32, IPv6: 64}, HalfOpen: 100},
	} {
		cfg := mustParse(t, "interfaces: [eth0]\nservices:\n  world:\n    "+form+`
    listeners: [{vip: 203.0.113.10, protocol: udp, port: 7777}]
    pools: {blue: {version: "1", backends: [{address: 10.0.0.11}]}}
`)
		if world, _ := cfg.Service("world"); world.Limits != want {
			t.Errorf("%q is %+v, want %+v", form, world.Limits, want)
		}
	}
}

func TestMistakesOfLimitsAreNamed(t *testing.T) {
	const at = "timeouts: {tcp: 1h, udp: 90s}"
	refuse(t, []mistake{
		{"no map", at, "limits: 5", []string{"8: services.world.limits: want a map, got 5"}},
		{"an unknown one", at, "limits: {syns: 5}",
			[]string{"8: services.world.limits.syns: unknown key: the keys here are new_flows, half_open"}},
		{"no rate", at, "limits: {new_flows: {burst: 5}}", []string{"8: services.world.limits.new_flows.rate: missing"}},
		{"a rate of 0", at, "limits: {new_flows: {rate: 0}}",
			[]string{"8: services.world.limits.new_flows.rate: want 1 to 1048576, got 0"}},
		{"a burst of 0", at, "limits: {new_flows: {rate: 1, burst: 0}}",
			[]string{"8: services.world.limits.new_flows.burst: want 1 to 1048576, got 0"}},
		{"a prefix that is too long", at, "limits: {new_flows: {rate: 1, ipv4_prefix: 33, ipv6_prefix: 65}}",
			[]string{"8: services.world.limits.new_flows.ipv4_prefix: want 1 to 32, got 33", "8: services.world.limits.new_flows.ipv6_prefix: want 1 to 64, got 65"}},
		{"a share without its sign", at, "limits: {half_open: 25}",
			[]string{`8: services.world.limits.half_open: want a share from 15% to 100%, such as 25%, got "25"`}},
		{"a share that is too small", at, "limits: {half_open: 14%}",
			[]string{`8: services.world.limits.half_open: want a share from 15% to 100%, such as 25%, got "14%"`}},
		{"a share that is too large", at, "limits: {half_open: 101%}",
			[]string{`8: services.world.limits.half_open: want a share from 15% to 100%, such as 25%, got "101%"`}},
		{"a broken share", at, "limits: {half_open: 25.5%}",
			[]string{`8: services.world.limits.half_open: want a share from 15% to 100%, such as 25%, got "25.5%"`}},
	})
}
