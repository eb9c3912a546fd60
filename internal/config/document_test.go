package config

import "testing"

func TestAFileThatIsNoConfigurationIsRefused(t *testing.T) {
	refuse(t, []mistake{
		{"an empty file", sound, "",
			[]string{" empty: interfaces and services are missing"}},
		{"a file of comments", sound, "# nothing\n",
			[]string{" empty: interfaces and services are missing"}},
		{"a file that is no map", sound, "- eth0\n",
			[]string{"1: want a map, got a list"}},
		{"a second document", sound, sound + "---\ninterfaces: [eth1]\n",
			[]string{"25: a second YAML document: one file is one configuration"}},
		{"a syntax error", "[eth0]", "[eth0",
			[]string{"2: not YAML: did not find expected ',' or ']' while parsing a flow sequence that began on line 1"}},
		{"a tab as indent", "  lobby:", "\tlobby:",
			[]string{"16: not YAML: found character that cannot start any token while scanning for the next token that began on line 16"}},
		{"an unknown anchor", "[eth0]", "*eth",
			[]string{"1: not YAML: unknown anchor 'eth' referenced"}},
		{"bytes that are not UTF-8", "[eth0]", "[eth\xff]",
			[]string{"1: not YAML: the byte 0xff is not UTF-8"}},
		{"a second document that is no YAML", sound, sound + "---\n[\n",
			[]string{"27: not YAML: did not find expected node content while parsing a flow node that began on line 27"}},
		{"a key that is a list", "interfaces:", "? [a]\n: b\ninterfaces:",
			[]string{"1: want a name as key, got a list"}},
		{"a key that is not known", "interfaces:", "affinity: client\ninterfaces:",
			[]string{"1: affinity: unknown key: the keys here are interfaces, max_flows, vip_addresses, xdp, ipip, echo, answers, traces, freeze, api, web, services"}},
		{"a key with a slip", "interfaces:", "interface:",
			[]string{
				"1: interface: unknown key: did you mean interfaces?",
				"1: interfaces: missing",
			}},
		{"a key that is there twice", "services:", "interfaces: [eth1]\nservices:",
			[]string{"2: interfaces: duplicate key, first on line 1"}},
		{"a merge key", "    forwarding: nat", "    <<: {forwarding: nat}",
			[]string{
				`17: services.lobby."<<": unknown key: the keys here are listeners, forwarding, affinity, timeouts, mss, limits, on_backend_loss, pools, strategy, release, group, health, occupancy`,
				"23: services.lobby.pools.blue.backends[0].port: 8443 is not the port of services.lobby.listeners[0] (203.0.113.11 tcp 443): dsr does not rewrite ports",
			}},
		{"keys of later versions", "    forwarding: nat", "    forwarding: nat\n    affinity: client\n    release: {rehearse: true}",
			[]string{
				"19: services.lobby.release.rehearse: unknown key: the keys here are testers, bake, deadline, notice, migrate, steps, batch, busy, window, gates, hooks, probes",
			}},
		{"a key that needs quotes", "    forwarding: nat", `    "fast lane": nat`,
			[]string{
				`17: services.lobby."fast lane": unknown key: the keys here are listeners, forwarding, affinity, timeouts, mss, limits, on_backend_loss, pools, strategy, release, group, health, occupancy`,
				"23: services.lobby.pools.blue.backends[0].port: 8443 is not the port of services.lobby.listeners[0] (203.0.113.11 tcp 443): dsr does not rewrite ports",
			}},
		{"nothing but interfaces", sound, "interfaces: [eth0]\n",
			[]string{"1: services: missing"}},
	})
}
