package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestProbesAreRead(t *testing.T) {
	text := "release: {probes: [{tcp: 7777}, {http: {port: 7777, path: /up}, timeout: 5s}]}"
	cfg, err := Parse("test.yaml", []byte(healthFile(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := []Probe{{TCP: 7777, Timeout: 2 * time.Second}, {HTTP: &HTTPCheck{Port: 7777, Path: "/up"}, Timeout: 5 * time.Second}}
	if got := cfg.Services[0].Release.Probes; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !(Listener{Protocol: TCP, First: 7000, Last: 8000}).Takes(want[0]) || !(Listener{Protocol: TCP}).Takes(want[0]) || (Listener{Protocol: TCP, First: 80, Last: 80}).Takes(want[0]) {
		t.Error("which listeners a probe comes to")
	}
}

func TestProbesThatMakeNoSenseAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"release: {probes: [{tcp: 80}]}":                                    "test.yaml:6: services.world.release.probes[0]: no tcp listener of the service has port 80",
		"release: {probes: [{udp: {port: 7777}}]}":                          "test.yaml:6: services.world.release.probes[0]: no udp listener of the service has port 7777",
		"release: {probes: [{timeout: 2s}]}":                                "test.yaml:6: services.world.release.probes[0]: want one of tcp, udp, http",
		"release: {probes: [{tcp: 7777, grpc: {port: 7777}}]}":              "test.yaml:6: services.world.release.probes[0].grpc: unknown key",
		"strategy: rolling\n    release: {batch: 1, probes: [{tcp: 7777}]}": "test.yaml:7: services.world.release.probes: strategy rolling has no probes: it is of session or instant or canary",
	} {
		_, err := Parse("test.yaml", []byte(healthFile(text)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}
