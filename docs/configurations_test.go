package docs_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
)

var (
	yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	heredoc   = regexp.MustCompile(`(?ms)<<YAML\n(.*?)^YAML`)
	indented  = regexp.MustCompile(`\n\n {4,}[^ \n].*`)
	// A setting within a sentence, with all that it has: `web: {listen: 127.0.0.1:8080}`.
	setting = regexp.MustCompile(`^[a-z_]+: (?:[\[{].*[\]}]|"[^"]*")$`)
)

// place is where a part of a configuration may stand.
type place struct {
	name string
	fill func(text string) string
}

// under is a place below lines, so many columns to the right.
func under(name, lines string, columns int) place {
	return place{name, func(text string) string {
		pad := strings.Repeat(" ", columns)
		return lines + pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad) + "\n"
	}}
}

const (
	anInterface = "interfaces: [eth0]\n"
	whatItNeeds = `    listeners:
      - {vip: 203.0.113.10, protocol: tcp, port: 7777}
      - {vip: 203.0.113.10, protocol: udp, port: 7777}
      - {vip: 203.0.113.10, protocol: tcp, port: 8080}
      - {vip: "2001:db8::10", protocol: udp, port: 7777}
    pools: {blue: {version: "1", backends: [{address: [10.0.0.11, "fd00::11"]}]}}
`
	services = `services:
  lobby:
    listeners: [{vip: 203.0.113.11, protocol: tcp, port: 7777}]
    pools: {blue: {version: "1", backends: [{address: 10.0.0.11}]}}
  world:
` + whatItNeeds
)

// places are tried in this order: the first that takes a text is its own.
var places = []place{
	under("a whole file", "", 0),
	under("the top", anInterface+services, 0),
	under("a service", anInterface+services, 4),
	{"the services, without what each needs", func(text string) string {
		return anInterface + strings.Replace(text, "  world:\n", "  world:\n"+whatItNeeds, 1)
	}},
	under("timeouts", anInterface+services+"    timeouts:\n", 6),
	under("health", anInterface+services+"    health:\n", 6),
	under("an HTTP check", anInterface+services+"    health:\n      http:\n        port: 8080\n", 8),
	under("occupancy", anInterface+services+"    occupancy:\n", 6),
	under("a hook", anInterface+services+"    release:\n      hooks:\n        flip:\n          -\n", 12),
}

// Each configuration that a page shows, whole or in part, is one that the loader takes.
func TestEveryConfigurationInThePagesLoads(t *testing.T) {
	found := 0
	for _, page := range pages {
		for _, text := range configurations(mustRead(t, page)) {
			found++
			if err := load(filepath.Base(page), text); err != nil {
				t.Errorf("%s: this loads nowhere:\n%s\n%v", page, text, err)
			}
		}
	}
	if found < 20 {
		t.Errorf("there are %d configurations only: the pages were misread", found)
	}
}

// configurations are those that a page shows as blocks, as what a shell shall write, and in its sentences.
func configurations(page string) (all []string) {
	for _, m := range yamlBlock.FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	for _, m := range heredoc.FindAllStringSubmatch(page, -1) {
		shell := strings.NewReplacer("$IF", "eth0", "$VIP", "203.0.113.10", "$BLUE", "10.0.0.11", "$GREEN", "10.0.1.11")
		all = append(all, shell.Replace(m[1]))
	}
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		if setting.MatchString(m[1]) && !strings.Contains(m[1], "…") {
			all = append(all, m[1])
		}
	}
	return all
}

// load looks for a place that takes the text. The error has what each of them says.
func load(name, text string) error {
	var errs []error
	for _, p := range places {
		_, err := config.Parse(name, []byte(p.fill(text)))
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("in %s: %w", p.name, err))
	}
	return errors.Join(errs...)
}

// A block that is no fenced one escapes the tests of what blocks hold.
func TestEveryBlockIsFenced(t *testing.T) {
	for _, page := range pages {
		text := fenced.ReplaceAllString(mustRead(t, page), "")
		for _, m := range indented.FindAllString(text, -1) {
			t.Errorf("%s: a block by indentation: %q", page, strings.TrimSpace(m))
		}
	}
}
