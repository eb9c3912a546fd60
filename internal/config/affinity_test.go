package config

import "testing"

func TestAffinityIsReadInEachForm(t *testing.T) {
	for form, want := range map[string]Affinity{
		"": AffinityFlow, "affinity: flow": AffinityFlow, "affinity: client": AffinityClient, "affinity: {client: pool}": AffinityClientPool,
	} {
		cfg := mustParse(t, "interfaces: [eth0]\nservices:\n  world:\n    "+form+`
    listeners: [{vip: 203.0.113.10, protocol: udp, port: 7777}]
    pools: {blue: {version: "1", backends: [{address: 10.0.0.11}]}}
`)
		if world, _ := cfg.Service("world"); world.Affinity != want {
			t.Errorf("%q is %q, want %q", form, world.Affinity, want)
		}
	}
}

func TestAnAffinityThatIsNoneIsNamed(t *testing.T) {
	refuse(t, []mistake{
		{"an unknown one", "timeouts: {tcp: 1h, udp: 90s}", "affinity: source",
			[]string{`8: services.world.affinity: want flow or client, got "source"`}},
		{"an unknown one of a client", "timeouts: {tcp: 1h, udp: 90s}", "affinity: {client: colour}",
			[]string{`8: services.world.affinity.client: want pool, got "colour"`}},
		{"one of something else", "timeouts: {tcp: 1h, udp: 90s}", "affinity: {source: pool}",
			[]string{"8: services.world.affinity.source: unknown key: the keys here are client", "8: services.world.affinity.client: missing"}},
	})
}
