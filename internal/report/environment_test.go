package report_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/report"
)

var update = flag.Bool("update", false, "write testdata anew")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mustMatch(tb testing.TB, name string, got []byte) {
	tb.Helper()
	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		tb.Fatal(err)
	}
	if string(got) != string(want) {
		tb.Errorf("not as in %s (write it anew with -update):\n%s", golden, got)
	}
}

// nasty is what nobody should be able to put into a page.
const nasty = "<script src=//x>\n\n# `a` | [b](http://x) ![c](d) *e* _f_ \u202e\x1b[2J &amp; \\"

func environment() report.Environment {
	ref := func(n uint32, colour, version string) api.GenerationRef {
		return api.GenerationRef{Number: n, Colour: colour, Version: version}
	}
	return report.Environment{Host: "steer-1", Version: "v0.1.0", ConfigFile: "/etc/ebbtide/ebbtide.yaml", Places: []report.Place{
		{
			Service: "world", Forwarding: "dsr", Listeners: []string{"203.0.113.10 tcp 7777", "2001:db8::10 udp 7777-7800"},
			Generations: []report.Resident{
				{GenerationRef: ref(2, "", "1.8"), State: "draining", Roles: []string{"draining"}, Since: noon.Add(-time.Hour), By: "ops", Backends: []report.Server{{Addresses: []string{"10.0.2.11"}}}},
				{GenerationRef: ref(3, "blue", "1.9"), State: "draining", Roles: []string{"draining", "stable"}, Since: noon, By: "ops: version 2.0",
					Backends: []report.Server{{Addresses: []string{"10.0.0.11"}}, {Addresses: []string{"10.0.0.12", "fd00::12"}, Port: 7000}}},
				{GenerationRef: ref(4, "green", "2.0"), State: "live", Roles: []string{"live"}, Since: noon, By: "ops: version 2.0", Backends: []report.Server{{Addresses: []string{"fd00::1:11"}}}},
			},
			Lock:    &api.Lock{By: "ops", Reason: "tournament", Until: noon.Add(time.Hour)},
			Release: "release 7 of ops, to generation 4, draining since 2026-03-01T12:00:00Z",
			WayBack: "generation 3 (blue, version 1.9) has its backends yet.", Command: "ebbtide rollback world",
		},
		{
			Service: "lobby", Forwarding: "nat", Listeners: []string{"203.0.113.11 tcp all"},
			Generations: []report.Resident{{GenerationRef: ref(1, "blue", nasty), State: "live", Roles: []string{"live", "stable"}, Since: noon, By: "eve: " + nasty}},
			Lock:        &api.Lock{By: nasty, Reason: nasty, Until: noon},
			WayBack:     "there is nothing to go back to.",
		},
	}}
}

func TestTheEnvironmentAsAPage(t *testing.T) {
	page := environment().Markdown()
	mustMatch(t, "environment.md", page)
	mustBeTame(t, page)
	mustMatch(t, "empty.md", report.Environment{Host: "h", Version: "v", ConfigFile: "a`b"}.Markdown())
}

var escaped = regexp.MustCompile(`\\[[:punct:]]`)

// mustBeTame looks for what of nasty would mean something in Markdown.
func mustBeTame(tb testing.TB, page []byte) {
	tb.Helper()
	bare := escaped.ReplaceAllString(string(page), "")
	for _, bad := range []string{"<", ">", "](", "://", "![", "\x1b", "\u202e", "&", "*e", "_f"} {
		if strings.Contains(bare, bad) {
			tb.Errorf("%q is in the page", bad)
		}
	}
}

func TestTheTargetsOfAnEnvironment(t *testing.T) {
	for name, port := range map[string]uint16{"targets.json": 0, "targets-9100.json": 9100} {
		data, err := environment().Targets(port)
		if err != nil {
			t.Fatal(err)
		}
		mustMatch(t, name, data)
		var groups []struct {
			Targets []string
			Labels  map[string]string
		}
		if err := json.Unmarshal(data, &groups); err != nil || len(groups) != 4 || groups[3].Labels["version"] != nasty || groups[3].Targets == nil {
			t.Errorf("%+v, %v", groups, err)
		}
	}
}

func TestAFileIsReplacedWholeAndOnlyWhenItDiffers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "environment.md")
	for i, row := range []struct {
		data    string
		changed bool
	}{{"a", true}, {"a", false}, {"b", true}, {"", true}, {"", false}} {
		changed, err := report.WriteFile(path, []byte(row.data))
		if err != nil || changed != row.changed {
			t.Errorf("%d: %v, %v", i, changed, err)
		}
		if have, err := os.ReadFile(path); err != nil || string(have) != row.data {
			t.Errorf("%d: %q, %v", i, have, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Mkdir(filepath.Join(dir, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := report.WriteFile(filepath.Join(dir, "in the way"), []byte("a")); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
