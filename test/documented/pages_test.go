package documented

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	block  = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	inline = regexp.MustCompile("`(?:sudo )?(ebbtide [^`\n]+)`")
	// What a page says of a command, and is none: words in capitals stand for something, dots for what is left out.
	pattern = regexp.MustCompile(`\b(?:[A-Z]{3,}|N)\b|…`)
	comment = regexp.MustCompile(`\s+# .*$`)
	// The verbs below others, in the tables that name them.
	below = regexp.MustCompile("(?m)^\\| `(ebbtide [a-z]+ [a-z]+)` \\|")
)

// page is one for people.
type page struct{ name, text string }

func mustPages(t *testing.T) (all []page) {
	t.Helper()
	for _, glob := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md"} {
		names, err := filepath.Glob(glob)
		if err != nil || len(names) == 0 {
			t.Fatalf("no pages like %s: %v", glob, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page{strings.TrimPrefix(name, "../../"), string(data)})
		}
	}
	return all
}

// lines are the commands that a page shows: of blocks each line, of sentences what says more than the name of a verb.
func (p page) lines() (all []string) {
	for _, m := range block.FindAllStringSubmatch(p.text, -1) {
		if !isWhole(m[2]) {
			all = append(all, linesOf(m[1], m[2])...)
		}
	}
	for _, m := range inline.FindAllStringSubmatch(block.ReplaceAllString(p.text, ""), -1) {
		if len(strings.Fields(m[1])) > 2 && !pattern.MatchString(m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// linesOf a block: of a shell all, of a console what is behind the prompt, else what begins with our name.
func linesOf(language, text string) (all []string) {
	for line := range strings.Lines(text) {
		line = comment.ReplaceAllString(strings.TrimSpace(line), "")
		switch language {
		case "sh":
		case "console":
			typed, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				typed, ok = strings.CutPrefix(line, "# ")
			}
			if !ok {
				continue
			}
			line = typed
		case "":
			if !strings.HasPrefix(strings.TrimPrefix(line, "sudo "), "ebbtide ") || pattern.MatchString(line) || strings.HasSuffix(line, "[flags]") {
				continue
			}
		default:
			continue
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// documented are all lines of all pages, each once.
func documented(t *testing.T) []string {
	t.Helper()
	pages := mustPages(t)
	var all, names []string
	for _, p := range pages {
		for _, m := range below.FindAllStringSubmatch(p.text, -1) {
			names = append(names, m[1])
		}
	}
	for _, p := range pages {
		for _, line := range p.lines() {
			if !slices.Contains(all, line) && !slices.Contains(names, line) {
				all = append(all, line)
			}
		}
	}
	return all
}

// isWhole says whether a block is one script, which is run as such: see TestTheQuickstartIsWhatItSays.
func isWhole(text string) bool { return strings.HasPrefix(text, "IF=eth0\n") }

func TestLinesAreFoundInPages(t *testing.T) {
	t.Parallel()
	p := page{"x.md", "Say `ebbtide flip` or `ebbtide flip world` or `ebbtide flip SERVICE`.\n\n```sh\nmake demo   # it plays\n# nothing\n\nip addr\n```\n" +
		"```console\n$ ebbtide status\nprinted\n# ebbtide detach\n```\n```\nebbtide check FILE [flags]\n```\n```\n  ebbtide drops    # all\n  sudo ebbtide web\n```\n```yaml\na: b\n```\n"}
	want := []string{"make demo", "ip addr", "ebbtide status", "ebbtide detach", "ebbtide drops", "sudo ebbtide web", "ebbtide flip world"}
	if got := p.lines(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
