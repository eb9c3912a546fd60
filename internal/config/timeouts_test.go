package config

import "testing"

func TestImpossibleTimeoutsAreNamed(t *testing.T) {
	refuse(t, []mistake{
		{"a timeout of 0", "tcp: 1h", "tcp: 0s",
			[]string{"8: services.world.timeouts.tcp: 0s: a flow would end before its first packet"}},
		{"a timeout below 0", "tcp: 1h", "tcp: -1h",
			[]string{"8: services.world.timeouts.tcp: -1h: a flow would end before its first packet"}},
		{"a timeout over 30 days", "tcp: 1h", "tcp: 721h",
			[]string{"8: services.world.timeouts.tcp: 721h is over 30 days (720h)"}},
		{"a timeout without a unit", "tcp: 1h", "tcp: 3600",
			[]string{"8: services.world.timeouts.tcp: want a duration such as 30s, 5m or 2h, got 3600"}},
		{"a timeout in days", "tcp: 1h", "tcp: 1d",
			[]string{`8: services.world.timeouts.tcp: want a duration such as 30s, 5m or 2h, got "1d"`}},
		{"a timeout of a fraction of a second", "tcp: 1h", "tcp: 1500ms",
			[]string{"8: services.world.timeouts.tcp: 1.5s is not a whole number of seconds"}},
		{"a timeout nobody knows", "tcp: 1h", "tcp_halfopen: 5s",
			[]string{"8: services.world.timeouts.tcp_halfopen: unknown key: did you mean tcp_half_open?"}},
		{"half-open longer than established", "tcp: 1h", "tcp: 1h, tcp_half_open: 2h",
			[]string{"8: services.world.timeouts.tcp_half_open: 2h is more than tcp (1h)"}},
		{"closing longer than established", "tcp: 1h", "tcp: 1h, tcp_closing: 2h",
			[]string{"8: services.world.timeouts.tcp_closing: 2h is more than tcp (1h)"}},
		{"new longer than established", "udp: 90s", "udp: 90s, udp_new: 91s",
			[]string{"8: services.world.timeouts.udp_new: 1m31s is more than udp (1m30s)"}},
		{"established shorter than the defaults", "tcp: 1h", "tcp: 40s",
			[]string{"8: services.world.timeouts.tcp: 40s is less than tcp_closing (1m by default): set both"}},
		{"a linger shorter than two sweeps", "tcp: 1h", "linger: 14s",
			[]string{"8: services.world.timeouts.linger: 14s is less than 15s: sweeps renew a session whose flows are silent, and are up to 5s apart"}},
		{"a linger over its cap", "tcp: 1h", "linger: 2m, linger_cap: 1m",
			[]string{"8: services.world.timeouts.linger: 2m is more than linger_cap (1m)"}},
		{"timeouts that are a list", "{tcp: 1h, udp: 90s}", "[1h]",
			[]string{"8: services.world.timeouts: want a map, got a list"}},
	})
}
