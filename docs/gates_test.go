package docs_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
)

// The page's sample is a configuration, and its gates are all that there are.
func TestThePageOnGatesHasASampleThatLoads(t *testing.T) {
	page := mustRead(t, "gates.md")
	_, rest, _ := strings.Cut(page, "```yaml\n")
	sample, _, _ := strings.Cut(rest, "```")
	file := "interfaces: [eth0]\nservices:\n  world:\n    listeners: [{vip: 203.0.113.10, protocol: udp, port: 7777}]\n" +
		"    pools: {blue: {version: \"1\", backends: [{address: 10.0.0.11}]}}\n    " + strings.ReplaceAll(strings.TrimSpace(sample), "\n", "\n    ") + "\n"
	cfg, err := config.Parse("gates.md", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if gates := cfg.Services[0].Release.Gates; len(gates) != 7 {
		t.Errorf("%+v", gates)
	}
}

// Each fact of the kernel has its line.
func TestThePageOnGatesHasEachFact(t *testing.T) {
	page := mustRead(t, "gates.md")
	_, rest, _ := strings.Cut(page, "## What the kernel counts")
	for _, fact := range []config.KernelFact{
		config.NewSessions, config.NeverEstablished, config.Resets, config.SYNRetransmits, config.Orphans, config.EarlyEnds,
	} {
		if !strings.Contains(rest, "\n| `"+string(fact)+"` |") {
			t.Errorf("%s has no line", fact)
		}
	}
	var keys []string
	for _, cells := range firstCell.FindAllStringSubmatch(page[:len(page)-len(rest)], -1) {
		for _, key := range quoted.FindAllStringSubmatch(cells[1], -1) {
			keys = append(keys, key[1])
		}
	}
	want := []string{"kernel", "health", "prometheus", "webhook", "approval", "name", "window", "min", "max", "on_fail"}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
}
