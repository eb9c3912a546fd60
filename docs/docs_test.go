// Package docs_test holds the pages against the code: what they name exists, and what exists is named.
package docs_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/maps"
)

var update = flag.Bool("update", false, "write the table of reasons anew")

// What stands around the table of reasons.
const (
	reasonsBegin = "<!-- Written from maps.ReasonTexts by: go test ./docs -update -->\n\n"
	reasonsEnd   = "\n## Privileges"
)

// pages are the files for people, as seen from here.
var pages = pagesLike("../*.md", "*.md", "*/*.md")

func pagesLike(patterns ...string) (all []string) {
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			panic(fmt.Sprintf("no pages like %s: %v", pattern, err))
		}
		all = append(all, found...)
	}
	return all
}

var (
	mapName      = regexp.MustCompile(`(?m)^} (\w+) SEC\("\.maps"\)`)
	fenced       = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	inline       = regexp.MustCompile("`([^`\n]+)`")
	call         = regexp.MustCompile(`(?m)(?:^|[\s;&|(])ebbtide ([a-z]+(?:-[a-z]+)*)`)
	verb         = regexp.MustCompile(`(?m)^## ([a-z]+(?:-[a-z]+)*)$`)
	heading      = regexp.MustCompile(`(?m)^#+ (.+)$`)
	inRepository = regexp.MustCompile(`^(?:bpf|maps|loader|internal|cmd|test|docs|packaging)/[\w./*-]*$`)
	link         = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	defaults     = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `(\\w+)` \\|")
	justified    = regexp.MustCompile("(?m)^\\*\\*`(\\w+: \\w+)`\\*\\*")
	noAnchor     = regexp.MustCompile(`[^\w\- ]`)
)

// The table of reasons is written from the text that `ebbtide drops` prints.
func TestTheTableOfReasonsIsThatOfTheCode(t *testing.T) {
	page := mustRead(t, "architecture.md")
	head, rest, begins := strings.Cut(page, reasonsBegin)
	_, tail, ends := strings.Cut(rest, reasonsEnd)
	if !begins || !ends {
		t.Fatalf("architecture.md has no place for the table of reasons: %q and %q", reasonsBegin, reasonsEnd)
	}
	want := head + reasonsBegin + mustTable(t) + reasonsEnd + tail
	if *update {
		if err := os.WriteFile("architecture.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page != want {
		t.Error("the table of reasons is not that of maps.ReasonTexts (write it anew with -update)")
	}
}

// mustTable is the table of reasons.
func mustTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| reason | meaning | what to do |\n| --- | --- | --- |\n")
	for _, text := range maps.ReasonTexts() {
		name, err := maps.ReasonName(text.Reason)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ToUpper(name), text.Meaning, text.Advice)
	}
	return b.String()
}

func TestEveryMapIsDescribed(t *testing.T) {
	wantNamed(t, "../bpf/maps.h", mapName, "`%s`")
}

// wantNamed looks for what a header defines on the page on the architecture.
func wantNamed(t *testing.T, header string, name *regexp.Regexp, as string) {
	t.Helper()
	page := mustRead(t, "architecture.md")
	found := name.FindAllStringSubmatch(mustRead(t, header), -1)
	if len(found) == 0 {
		t.Fatalf("%s defines nothing that this test can see", header)
	}
	for _, m := range found {
		if !strings.Contains(page, strings.ReplaceAll(as, "%s", m[1])) {
			t.Errorf("%s of %s is not in architecture.md", m[1], header)
		}
	}
}

// cli.md is written from the commands, so its headings are the verbs that exist.
func TestEveryVerbInThePagesExists(t *testing.T) {
	verbs := map[string]bool{}
	for _, m := range verb.FindAllStringSubmatch(mustRead(t, "cli.md"), -1) {
		verbs[m[1]] = true
	}
	for _, page := range pages {
		for _, code := range codeOf(mustRead(t, page)) {
			for _, m := range call.FindAllStringSubmatch(code, -1) {
				if !verbs[m[1]] {
					t.Errorf("%s: there is no `ebbtide %s`", page, m[1])
				}
			}
		}
	}
}

// A configuration that writes each default of the page is the same as one that writes none of them.
func TestThePageOnTheConfigurationTellsTheDefaults(t *testing.T) {
	page := mustRead(t, "configuration.md")
	top, rest, _ := strings.Cut(page, "## A service")
	service, rest, _ := strings.Cut(rest, "### Listeners")
	backend, timeouts, _ := strings.Cut(rest, "## Timeouts")
	want := mustParse(t, nil, nil, nil, nil)
	got := mustParse(t, written(top), written(service), written(backend), written(timeouts))
	if got.MaxFlows != want.MaxFlows || got.VIPAddresses != want.VIPAddresses || got.XDPMode != want.XDPMode ||
		got.Echo != want.Echo {
		t.Errorf("the page tells %+v, without it there is %+v", got, want)
	}
	if !reflect.DeepEqual(got.Services, want.Services) {
		t.Errorf("the page tells %+v, without it there is %+v", got.Services, want.Services)
	}
	if got, want := len(written(timeouts)), reflect.TypeFor[config.Timeouts]().NumField(); got != want {
		t.Errorf("the page tells %d timeouts of %d", got, want)
	}
	for _, m := range justified.FindAllStringSubmatch(timeouts, -1) {
		if !strings.Contains(strings.Join(written(timeouts), "\n")+"\n", m[1]+"\n") {
			t.Errorf("the page justifies %s, which is not its table's", m[1])
		}
	}
}

// written are the lines that write the defaults of a table.
func written(section string) (lines []string) {
	for _, m := range defaults.FindAllStringSubmatch(section, -1) {
		lines = append(lines, m[1]+": "+m[2])
	}
	return lines
}

// mustParse reads a configuration with these lines at the top, in its service, its backend and its timeouts.
func mustParse(t *testing.T, top, service, backend, timeouts []string) *config.Config {
	t.Helper()
	text := strings.Join(top, "\n") + "\n" + `interfaces: [eth0]
services:
  world:
    listeners: [{vip: 203.0.113.10, protocol: tcp, port: 7777}]
    pools: {blue: {version: "1", backends: [{` + strings.Join(append(backend, "address: 10.0.0.11"), ", ") + `}]}}
    timeouts: {` + strings.Join(timeouts, ", ") + "}\n"
	for _, line := range service {
		text += "    " + line + "\n"
	}
	cfg, err := config.Parse("page.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// codeOf lists what a page shows as code.
func codeOf(page string) []string {
	var out []string
	for _, m := range fenced.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		out = append(out, m[1])
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages {
		for _, path := range paths(mustRead(t, page)) {
			if found, err := filepath.Glob(filepath.Join("..", path)); err != nil || len(found) == 0 {
				t.Errorf("%s: there is no %s", page, path)
			}
		}
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(mustRead(t, page), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
			} else if anchor != "" && !anchors(mustRead(t, target))[anchor] {
				t.Errorf("%s: link to %s: no such heading", page, m[1])
			}
		}
	}
}

// paths are the files and directories of the repository that a page names.
func paths(page string) (all []string) {
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		if inRepository.MatchString(m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// anchors are those that GitHub makes of the headings.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		out[strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return out
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
