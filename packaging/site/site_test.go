package site

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// link is one that a file of the site has; loaded is what a browser asks for by itself.
type link struct {
	to     string
	loaded bool
}

// file is what a test reads of a file of the site.
type file struct {
	links []link
	ids   map[string]bool
}

// The site of this repository: what is linked is there, every page is reached, and nothing is asked of other hosts.
func TestTheSiteHasAllThatItLinksTo(t *testing.T) {
	t.Parallel()
	site := mustBuild(t, "../..")
	reached, left := map[string]bool{"index.html": true}, []string{"index.html"}
	for len(left) > 0 {
		name := left[0]
		left = left[1:]
		for _, l := range site[name].links {
			u, err := url.Parse(l.to)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.IsAbs() || u.Host != "" {
				if l.loaded {
					t.Errorf("%s asks %s for a part of itself", name, u.Host)
				}
				continue
			}
			to := name
			if u.Path != "" {
				to = path.Join(path.Dir(name), u.Path)
			}
			target, there := site[to]
			if !there {
				t.Errorf("%s: there is no %s", name, l.to)
			} else if u.Fragment != "" && !target.ids[u.Fragment] {
				t.Errorf("%s: %s has no such place", name, l.to)
			}
			if there && !reached[to] {
				reached[to] = true
				left = append(left, to)
			}
		}
	}
	for name := range site {
		if !reached[name] {
			t.Errorf("nothing leads to %s", name)
		}
	}
	for _, name := range []string{"index.html", "docs/cli.html", "docs/runbooks/unpinned.html", "docs/adr/index.html", "SECURITY.html", "packaging/container/index.html"} {
		if !reached[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// The site of the same pages is the same.
func TestTwoBuildsAreEqual(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir()+"/site", t.TempDir()+"/site"
	for _, out := range []string{one, two} {
		if err := Build("../..", out); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range filesOf(t, one) {
		a, errA := os.ReadFile(filepath.Join(one, name))
		b, errB := os.ReadFile(filepath.Join(two, name))
		if errors.Join(errA, errB) != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestWhatLeadsNowhereIsRefusedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, page, want string }{
		{"a link to a file that is not there", "[x](docs/none.md)", "README.md: link to docs/none.md"},
		{"a link to a heading that is not there", "[x](docs/one.md#nothing)", "README.md: docs/one.md has no heading #nothing"},
		{"a link to a heading of the page itself", "[x](docs/one.md) [y](#nothing)", "README.md: README.md has no heading #nothing"},
		{"a link out of the repository", "[x](../elsewhere.md)", "out of the repository"},
		{"a picture from elsewhere", "![x](https://example.com/x.svg) [x](docs/one.md)", "README.md: the picture https://example.com/x.svg is elsewhere"},
		{"a page that nobody links to", "no link", "docs/one.md: no page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir() + "/site"
			err := Build(mustWrite(t, map[string]string{"README.md": "# home\n\n" + c.page, "docs/one.md": "# one\n\n## Part\n"}), out)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is written: %v", err)
			}
		})
	}
}

func TestAPageIsMadeOfItsMarkdown(t *testing.T) {
	t.Parallel()
	out := t.TempDir() + "/site"
	root := mustWrite(t, map[string]string{
		"README.md":   "# home\n\n[one](docs/one.md#a-part-of-it) [files](more) [text](plain.txt)\n",
		"docs/one.md": "# One & all\n\n## A `part`, of it\n\n## Twice\n\n## Twice\n\n<script>bad()</script>\n\n[back](../README.md), [twice](#twice-1)\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n",
		"more/a.txt":  "a", "plain.txt": "text",
	})
	if err := Build(root, out); err != nil {
		t.Fatal(err)
	}
	home, one := mustRead(t, out+"/index.html"), mustRead(t, out+"/docs/one.html")
	for _, want := range []string{`href="docs/one.html#a-part-of-it"`, `href="more/index.html"`, `href="plain.txt"`, `aria-current="page">home<`} {
		if !strings.Contains(home, want) {
			t.Errorf("the first page has no %s", want)
		}
	}
	for _, want := range []string{
		"<title>One &amp; all · ebbtide</title>", `<h2 id="a-part-of-it">`, `<a href="#twice-1">Twice</a>`, `href="../index.html"`, `href="../style.css"`, "<td>1</td>",
	} {
		if !strings.Contains(one, want) {
			t.Errorf("the page has no %s:\n%s", want, one)
		}
	}
	if strings.Contains(one, "<script") {
		t.Error("what was raw HTML came through")
	}
	if got, want := filesOf(t, out), []string{"docs/one.html", "index.html", "more/a.txt", "more/index.html", "plain.txt", "style.css"}; !slices.Equal(got, want) {
		t.Errorf("the files are %v, want %v", got, want)
	}
}

// mustBuild builds a site and reads it.
func mustBuild(t *testing.T, root string) map[string]file {
	t.Helper()
	out := t.TempDir() + "/site"
	if err := Build(root, out); err != nil {
		t.Fatal(err)
	}
	all := map[string]file{}
	for _, name := range filesOf(t, out) {
		text := mustRead(t, filepath.Join(out, name))
		switch path.Ext(name) {
		case ".html":
			all[name] = mustParse(t, name, text)
		case ".css":
			all[name] = file{links: urls(text)}
		default:
			all[name] = file{}
		}
	}
	return all
}

var asked = regexp.MustCompile(`url\(["']?([^"')]*)|@import\s+["']([^"']*)`)

// urls are what a style sheet loads.
func urls(css string) (all []link) {
	for _, m := range asked.FindAllStringSubmatch(css, -1) {
		all = append(all, link{m[1] + m[2], true})
	}
	return all
}

// mustParse reads a page as XML, which all pages are.
func mustParse(t *testing.T, name, text string) file {
	t.Helper()
	f := file{ids: map[string]bool{}}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Entity = xml.HTMLEntity
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if e, ok := token.(xml.StartElement); ok {
			f.add(t, name, e)
		}
	}
}

func (f *file) add(t *testing.T, name string, e xml.StartElement) {
	t.Helper()
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "id":
			if f.ids[a.Value] {
				t.Errorf("%s has two of #%s", name, a.Value)
			}
			f.ids[a.Value] = true
		case "href":
			f.links = append(f.links, link{a.Value, e.Name.Local != "a"})
		case "src", "srcset", "data", "action", "poster":
			f.links = append(f.links, link{a.Value, true})
		case "style":
			f.links = append(f.links, urls(a.Value)...)
		}
	}
}

func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		names = append(names, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func mustWrite(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := put(root, name, []byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
