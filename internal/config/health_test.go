package config

import (
	"reflect"
	"testing"
	"time"
)

func TestHealthIsRead(t *testing.T) {
	usual := Health{Every: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3, Panic: 0.5}
	with := func(change func(*Health)) *Health {
		h := usual
		change(&h)
		return &h
	}
	for text, want := range map[string]*Health{
		"":                             nil,
		"health: {tcp: 7777}":          with(func(h *Health) { h.TCP = 7777 }),
		"health: {http: {port: 8080}}": with(func(h *Health) { h.HTTP = &HTTPCheck{Port: 8080, Path: "/"} }),
		"health: {http: {port: 8443, path: /up, tls: true}}": with(func(h *Health) { h.HTTP = &HTTPCheck{Port: 8443, Path: "/up", TLS: true} }),
		"health: {http: {port: 8443, tls: {ca: /etc/ca.pem, server_name: world.example}, status: 204}}": with(func(h *Health) {
			h.HTTP = &HTTPCheck{8443, "/", true, &Trust{"/etc/ca.pem", "world.example"}, Statuses{204, 204}}
		}),
		"health: {http: {port: 8080, status: 200..299}}": with(func(h *Health) {
			h.HTTP = &HTTPCheck{Port: 8080, Path: "/", Status: Statuses{200, 299}}
		}),
		"health: {grpc: {port: 50051, service: world}}":     with(func(h *Health) { h.GRPC = &GRPCCheck{50051, "world"} }),
		"health: {udp: {port: 9000, send: hi, expect: ho}}": with(func(h *Health) { h.UDP = &UDPCheck{9000, "hi", "ho"} }),
		"health: {exec: [/bin/check, -v]}":                  with(func(h *Health) { h.Exec = []string{"/bin/check", "-v"} }),
		"health: {external: true, panic: 20%}":              with(func(h *Health) { h.External, h.Panic = true, 0.2 }),
		"health: {tcp: 1, every: 5s, timeout: 2s, rise: 1, fall: 9}": with(func(h *Health) {
			h.TCP, h.Every, h.Timeout, h.Rise, h.Fall = 1, 5*time.Second, 2*time.Second, 1, 9
		}),
	} {
		cfg, err := Parse("test.yaml", []byte(healthFile(text)))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := cfg.Services[0].Health; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestHealthThatMakesNoSenseIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"health: {every: 2s}":                 "test.yaml:6: services.world.health: want one of tcp, http, grpc, udp, exec, external",
		"health: {tcp: 1, external: true}":    "test.yaml:6: services.world.health: want one of tcp, http, grpc, udp, exec, external",
		"health: {tcp: 70000}":                "test.yaml:6: services.world.health.tcp: want 1 to 65535, got 70000",
		"health: {http: {path: /}}":           "test.yaml:6: services.world.health.http.port: missing",
		"health: {http: {port: 1, path: up}}": "test.yaml:6: services.world.health.http: path: want one that begins with /, got \"up\"",
		"health: {http: {port: 1, tls: {}}}": "test.yaml:6: services.world.health.http.tls: " +
			"want ca, server_name or both; true is TLS without a look at the certificate",
		"health: {http: {port: 1, tls: {ca: ca.pem}}}": "test.yaml:6: services.world.health.http.tls: " +
			"ca: want a file's whole path, such as /etc/ebbtide/ca.pem, got \"ca.pem\"",
		"health: {http: {port: 1, tls: maybe}}": "test.yaml:6: services.world.health.http.tls: want true or false, got \"maybe\"",
		"health: {http: {port: 1, status: 399..200}}": "test.yaml:6: services.world.health.http.status: " +
			"want a status such as 204, or several such as 200..399, got \"399..200\"",
		"health: {http: {port: 1, status: ok}}": "test.yaml:6: services.world.health.http.status: " +
			"want a status such as 204, or several such as 200..399, got \"ok\"",
		"health: {exec: [check]}":       "test.yaml:6: services.world.health.exec[0]: want a program's whole path, such as /usr/local/bin/notice, got \"check\"",
		"health: {external: false}":     "test.yaml:6: services.world.health.external: want true",
		"health: {tcp: 1, timeout: 2h}": "test.yaml:6: services.world.health.timeout: want 1s to 1h, got 2h",
		"health: {tcp: 1, rise: 0}":     "test.yaml:6: services.world.health.rise: want 1 to 100, got 0",
	} {
		_, err := Parse("test.yaml", []byte(healthFile(text)))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func healthFile(text string) string {
	return `interfaces: [eth0]
services:
  world:
    listeners: [{vip: 203.0.113.10, protocol: tcp, port: 7777}]
    pools: {blue: {version: "1", backends: [{address: 10.0.0.1}]}}
    ` + text + "\n"
}
