package config

import "testing"

func TestAmbiguousRepliesOfNATAreRefused(t *testing.T) {
	refuse(t, []mistake{
		{"a port for a range", "port: 443", "port: 443-450",
			[]string{"23: services.lobby.pools.blue.backends[0].port: one port can't stand for the range of services.lobby.listeners[0] (203.0.113.11 tcp 443-450)"}},
		{"a backend twice in a pool", "- address: 10.0.2.2", "- address: 10.0.2.1\n            port: 8443",
			[]string{"24: services.lobby.pools.blue.backends[1].address: the same backend as services.lobby.pools.blue.backends[0] on line 23: nat knows a reply by its backend socket"}},
		{"a backend twice in a pool, its port written once", "port: 8443", "port: 443}\n          - {address: 10.0.2.1",
			[]string{"24: services.lobby.pools.blue.backends[1].address: the same backend as services.lobby.pools.blue.backends[0] on line 23: nat knows a reply by its backend socket"}},
		{"a backend in both pools", "          - address: 10.0.2.2\n", "          - address: 10.0.2.2\n      green: {version: v8, backends: [{address: 10.0.2.2, port: 443}]}\n",
			[]string{"25: services.lobby.pools.green.backends[0].address: the same backend as services.lobby.pools.blue.backends[1] on line 24: nat knows a reply by its backend socket"}},
		{"one socket for two listeners of a service", "[{vip: 203.0.113.11, protocol: tcp, port: 443}]", "[{vip: 203.0.113.11, protocol: tcp, port: 443}, {vip: 203.0.113.11, protocol: tcp, port: 444}]",
			[]string{"23: services.lobby.pools.blue.backends[0].port: 10.0.2.1 tcp 8443 would answer for services.lobby.listeners[1] and for services.lobby.listeners[0] (services.lobby.pools.blue.backends[0] on line 23): nat knows a reply by its backend socket"}},
		{"one socket for two VIPs", "[{vip: 203.0.113.11, protocol: tcp, port: 443}]", "[{vip: 203.0.113.11, protocol: tcp, port: 443}, {vip: 203.0.113.12, protocol: tcp, port: 443}]",
			[]string{
				"23: services.lobby.pools.blue.backends[0].port: 10.0.2.1 tcp 8443 would answer for services.lobby.listeners[1] and for services.lobby.listeners[0] (services.lobby.pools.blue.backends[0] on line 23): nat knows a reply by its backend socket",
				"24: services.lobby.pools.blue.backends[1].address: 10.0.2.2 tcp 443 would answer for services.lobby.listeners[1] and for services.lobby.listeners[0] (services.lobby.pools.blue.backends[1] on line 24): nat knows a reply by its backend socket",
			}},
		{"one socket for two services", "  lobby:", "  arena:\n    forwarding: nat\n    listeners: [{vip: 203.0.113.12, protocol: tcp, port: 8443}]\n    pools: {green: {version: a, backends: [{address: 10.0.2.1}]}}\n  lobby:",
			[]string{"27: services.lobby.pools.blue.backends[0].port: 10.0.2.1 tcp 8443 would answer for services.lobby.listeners[0] and for services.arena.listeners[0] (services.arena.pools.green.backends[0] on line 19): nat knows a reply by its backend socket"}},
		{"one socket in a range of another service", "  lobby:", "  arena:\n    forwarding: nat\n    listeners: [{vip: 203.0.113.12, protocol: tcp, port: 8000-9000}]\n    pools: {green: {version: a, backends: [{address: 10.0.2.1}]}}\n  lobby:",
			[]string{"27: services.lobby.pools.blue.backends[0].port: 10.0.2.1 tcp 8443 would answer for services.lobby.listeners[0] and for services.arena.listeners[0] (services.arena.pools.green.backends[0] on line 19): nat knows a reply by its backend socket"}},
		{"the pools of a service with one socket for two listeners", sound, "interfaces: [eth0]\nservices:\n  lobby:\n    forwarding: nat\n    listeners:\n      - {vip: 203.0.113.11, protocol: tcp, port: 443}\n      - {vip: 203.0.113.11, protocol: tcp, port: 444}\n    pools:\n      blue: {version: \"1\", backends: [{address: 10.0.2.1}]}\n      green: {version: \"2\", backends: [{address: 10.0.2.1, port: 443}]}\n",
			[]string{"10: services.lobby.pools.green.backends[0].address: the same backend as services.lobby.pools.blue.backends[0] on line 9: nat knows a reply by its backend socket"}},
	})
}
