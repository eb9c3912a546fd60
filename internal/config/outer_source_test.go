package config

import (
	"net/netip"
	"strings"
	"testing"
)

// tunnelled is sound with the world in ipip.
var tunnelled = strings.NewReplacer(
	"interfaces: [eth0]\n", "interfaces: [eth0]\nipip: {source: [10.250.0.0/16, \"fd00:eb::/96\"]}\n",
	"    timeouts: {tcp: 1h, udp: 90s}\n", "    forwarding: ipip\n",
).Replace(sound)

func TestTheOuterSourceIsReadByFamily(t *testing.T) {
	got := mustParse(t, tunnelled).OuterSource
	want := OuterSource{netip.MustParsePrefix("10.250.0.0/16"), netip.MustParsePrefix("fd00:eb::/96")}
	if got != want || mustParse(t, sound).OuterSource != (OuterSource{}) {
		t.Fatalf("got %+v", got)
	}
	one := mustParse(t, "{interfaces: [eth0], ipip: {source: 10.250.0.7/32}, services: {}}").OuterSource
	if one != (OuterSource{IPv4: netip.MustParsePrefix("10.250.0.7/32")}) {
		t.Fatalf("got %+v", one)
	}
}

func TestAnIPv4ListenerInIPIPIsServedByABackendOfEitherFamily(t *testing.T) {
	for old, new := range map[string]string{
		"{address: 10.0.0.11}":    "{address: fd00::11}",
		`["fd00::12", 10.0.0.12]`: "fd00::12",
	} {
		if !strings.Contains(tunnelled, old) {
			t.Fatalf("%s is not in the file", old)
		}
		mustParse(t, strings.Replace(tunnelled, old, new, 1))
	}
	b := Backend{Addresses: []netip.Addr{ip("10.0.0.12"), ip("fd00::12")}}
	if b.Outer(ip("203.0.113.10")) != ip("10.0.0.12") || b.Outer(ip("2001:db8::10")) != ip("fd00::12") {
		t.Error("a backend of both families is not reached at that of the packet")
	}
	only4, only6 := Backend{Addresses: b.Addresses[:1]}, Backend{Addresses: b.Addresses[1:]}
	if only6.Outer(ip("203.0.113.10")) != ip("fd00::12") || only4.Outer(ip("2001:db8::10")).IsValid() {
		t.Error("IPv4 travels in IPv6, and not the other way round")
	}
}

func TestMistakesOfIPIPAreNamed(t *testing.T) {
	refuseOf(t, tunnelled, []mistake{
		{"no prefix at all", "ipip: {source: [10.250.0.0/16, \"fd00:eb::/96\"]}\n", "",
			[]string{
				"8: services.world.forwarding: ipip needs an IPv4 prefix in ipip.source, for its outer headers",
				"8: services.world.forwarding: ipip needs an IPv6 prefix in ipip.source, for its outer headers",
			}},
		{"the family of an outer header without a prefix", `[10.250.0.0/16, "fd00:eb::/96"]`, "10.250.0.0/16",
			[]string{"9: services.world.forwarding: ipip needs an IPv6 prefix in ipip.source, for its outer headers"}},
		{"nothing in ipip", `{source: [10.250.0.0/16, "fd00:eb::/96"]}`, "{}",
			[]string{"2: ipip.source: missing"}},
		{"an address for a prefix", "10.250.0.0/16", "10.250.0.0",
			[]string{`2: ipip.source[0]: want a prefix such as 10.250.0.0/16 or fd00:eb::/96, got "10.250.0.0"`}},
		{"bits behind the length", "10.250.0.0/16", "10.250.3.0/16",
			[]string{"2: ipip.source[0]: 10.250.3.0/16 has bits behind its length: write 10.250.0.0/16"}},
		{"too many bits that differ", "fd00:eb::/96", "fd00:eb::/64",
			[]string{"2: ipip.source[1]: fd00:eb::/64: the source differs by flow in the last 32 bits at most: write a length of 96 or more"}},
		{"a prefix that is loopback", "10.250.0.0/16", "127.0.0.0/8",
			[]string{"2: ipip.source[0]: 127.0.0.0 is loopback: no packet for it comes from outside"}},
		{"a prefix that reaches into multicast", "10.250.0.0/16", "192.0.0.0/2",
			[]string{"2: ipip.source[0]: 192.0.0.0/2 ends at 255.255.255.255, which is the broadcast address"}},
		{"two prefixes of a family", `"fd00:eb::/96"`, `"fd00:eb::/96", 10.251.0.0/16`,
			[]string{"2: ipip.source[2]: a second IPv4 prefix: outer headers have one source a family"}},
		{"a backend in the outer source", "10.250.0.0/16", "10.0.0.0/24",
			[]string{
				"13: services.world.pools.blue.backends[0].address: 10.0.0.11 lies in ipip.source 10.0.0.0/24: a backend drops what comes from its own address",
				"13: services.world.pools.blue.backends[1].address: 10.0.0.12 lies in ipip.source 10.0.0.0/24: a backend drops what comes from its own address",
			}},
		{"a VIP in the outer source", "fd00:eb::/96", "2001:db8::/112",
			[]string{"8: services.world.listeners[2]: 2001:db8::10 lies in ipip.source 2001:db8::/112: a backend drops what comes from its own address"}},
		{"a port of its own", "{address: 10.0.0.11}", "{address: 10.0.0.11, port: 7777}",
			[]string{"13: services.world.pools.blue.backends[0].port: 7777 is not the port of services.world.listeners[1] (203.0.113.10 udp 7777-7800): ipip does not rewrite ports"}},
		{"a backend twice in a pool", "{address: 10.0.0.11}", "{address: 10.0.0.12}",
			[]string{"13: services.world.pools.blue.backends[1].address: the same backend as services.world.pools.blue.backends[0] on line 13: an address is one backend of a pool"}},
		{"an IPv6 listener before IPv4 backends only", "{address: [10.0.1.11, fd00:1::11], weight: 0}", "{address: 10.0.1.11}",
			[]string{"16: services.world.pools.green.backends: no backend has an IPv6 address, which services.world.listeners[2] (2001:db8::10 udp 7777-7800) needs"}},
	})
}
