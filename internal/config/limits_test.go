package config

import (
	"fmt"
	"strings"
	"testing"
)

const oneListener = "listeners: [{vip: 203.0.113.1, protocol: tcp, port: 1}]"

// repeat joins n lines made by line.
func repeat(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

func backendsFrom(first, n int) string {
	return repeat(n, func(i int) string {
		i += first
		return fmt.Sprintf("          - address: 10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	})
}

func TestAFileOverALimitIsRefusedWithOneLine(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"services", head + repeat(1001, func(i int) string { return fmt.Sprintf("  s%d: {}\n", i) }),
			"f:2: services: 1001 services are more than 1000"},
		{"listeners", head + "  s:\n    pools: {blue: {version: v, backends: [{address: 10.0.0.1}]}}\n    listeners:\n" +
			repeat(10_001, func(i int) string {
				return fmt.Sprintf("      - {vip: 203.0.113.1, protocol: tcp, port: %d}\n", i+1)
			}),
			"f:2: services: more than 10000 listeners"},
		{"backends", head + "  s:\n    " + oneListener + "\n    pools:\n      blue:\n        version: a\n        backends:\n" +
			backendsFrom(0, 40_000) + "      green:\n        version: b\n        backends:\n" + backendsFrom(40_000, 25_001),
			"f:2: services: more than 65000 backends"},
		{"nat sockets", head + "  s:\n    forwarding: nat\n    listeners:\n" +
			repeat(101, func(i int) string {
				return fmt.Sprintf("      - {vip: 203.0.113.1, protocol: tcp, port: %d}\n", i+1)
			}) +
			"    pools:\n      blue:\n        version: a\n        backends:\n" + backendsFrom(0, 10_000),
			"f:3: services.s: more than 65535 nat sockets (backend addresses x ports of listeners of their family)"},
		{"ports", head + "  s:\n    pools: {blue: {version: v, backends: [{address: 10.0.0.1}]}}\n    listeners:\n" +
			repeat(16, func(i int) string {
				return fmt.Sprintf("      - {vip: 203.0.113.%d, protocol: tcp, port: 1-65535}\n", i+1)
			}),
			"f:2: services: the listeners have more than 65535 ports"},
		{"bytes", strings.Repeat("#", maxFileSize+1), "f: larger than 33554432 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := Parse("f", []byte(row.text)); err == nil || err.Error() != row.want {
				t.Fatalf("got %.300v\nwant %s", err, row.want)
			}
		})
	}
}

func TestAFileAtTheLimitOfBackendsIsRead(t *testing.T) {
	text := head + "  s:\n    " + oneListener + "\n    pools:\n      blue:\n        version: a\n        backends:\n" + backendsFrom(1, 65_000)
	if n := len(mustParse(t, text).Services[0].Pools[Blue].Backends); n != MaxBackends {
		t.Fatalf("%d backends", n)
	}
}

func TestAFileThatIsWrongAllOverEndsAfterAThousandMistakes(t *testing.T) {
	bad := "&bad {" + repeat(5000, func(i int) string { return fmt.Sprintf("x%d: 1, ", i) }) + "}"
	text := head + "  s0: " + bad + "\n" + repeat(999, func(i int) string { return fmt.Sprintf("  s%d: *bad\n", i+1) })
	_, err := Parse("f", []byte(text))
	if n := len(err.(Errors)); n != maxErrors {
		t.Fatalf("%d mistakes", n)
	}
}

func TestAliasesDoNotMultiplyTheWork(t *testing.T) {
	text := head + "  s0:\n    " + oneListener + "\n    pools: &pools\n      blue:\n        version: a\n        backends:\n" +
		backendsFrom(1, 20_000) + repeat(999, func(i int) string {
		return fmt.Sprintf("  s%d: {listeners: [{vip: 203.0.113.1, protocol: tcp, port: %d}], pools: *pools}\n", i+1, i+2)
	})
	if _, err := Parse("f", []byte(text)); err == nil || err.Error() != "f:2: services: more than 65000 backends" {
		t.Fatalf("got %.300v", err)
	}
}
