// Package docs_test holds the pages against the code: what they name exists, and what exists is named.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the files for people, as seen from here.
var pages = []string{
	"../README.md", "../CHANGELOG.md", "architecture.md", "cli.md", "configuration.md",
}

var (
	reasonName = regexp.MustCompile(`(?m)^\t((?:PASS|DROP|EVENT)_\w+),`)
	mapName    = regexp.MustCompile(`(?m)^} (\w+) SEC\("\.maps"\)`)
	fenced     = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	inline     = regexp.MustCompile("`([^`\n]+)`")
	call       = regexp.MustCompile(`(?m)(?:^|[\s;&|(])ebbtide ([a-z]+)`)
	verb       = regexp.MustCompile(`(?m)^## ([a-z]+)$`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	noAnchor   = regexp.MustCompile(`[^\w\- ]`)
)

func TestEveryReasonIsExplained(t *testing.T) {
	wantNamed(t, "../bpf/reasons.h", reasonName, "| `%s` |")
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
