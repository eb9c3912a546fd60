package site

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

var markdown = goldmark.New(
	goldmark.WithExtensions(extension.Table),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	goldmark.WithRendererOptions(html.WithXHTML()),
)

// page is one that a reader can go to.
type page struct {
	name     string // its path in the repository
	Title    string
	Headings []heading // below the title
	source   []byte
	tree     ast.Node
	anchors  map[string]bool // "" is the page itself
	wants    []place
}

type heading struct {
	ID, Text string
	Level    int
}

// place is where a link leads.
type place struct{ page, anchor string }

func read(root, name string) (*page, error) {
	source, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	p := &page{name: name, source: source, anchors: map[string]bool{"": true}}
	p.tree = markdown.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(ids{}))))
	err = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			p.head(h)
		}
		return ast.WalkContinue, nil
	})
	if err == nil && p.Title == "" {
		err = fmt.Errorf("%s has no title", name)
	}
	return p, err
}

// head notes a heading.
func (p *page) head(h *ast.Heading) {
	id, _ := h.AttributeString("id")
	words := plain(h, p.source)
	p.anchors[string(id.([]byte))] = true
	switch {
	case h.Level == 1 && p.Title == "":
		p.Title = words
	case h.Level == 2 || h.Level == 3:
		p.Headings = append(p.Headings, heading{string(id.([]byte)), words, h.Level})
	}
}

// plain is the text of a node.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Segment.Value(source))
		} else {
			b.WriteString(plain(c, source))
		}
	}
	return b.String()
}

// target is the page's file in the site.
func (p *page) target() string {
	if path.Base(p.name) == first {
		return path.Join(path.Dir(p.name), "index.html")
	}
	return strings.TrimSuffix(p.name, ".md") + ".html"
}

// weight is 1 for the page of a directory.
func (p *page) weight() int {
	if path.Base(p.name) == first {
		return 1
	}
	return 0
}

// to is the way to a file of the site.
func (p *page) to(target string) string {
	way, err := filepath.Rel(path.Dir(p.name), target)
	if err != nil {
		panic(err) // both are inside the site
	}
	return filepath.ToSlash(way)
}

// body is the page's own part of the HTML.
func (p *page) body() (string, error) {
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, p.source, p.tree); err != nil {
		return "", fmt.Errorf("make HTML of %s: %w", p.name, err)
	}
	return b.String(), nil
}

// ids names headings as GitHub does, so that links lead to them there and here.
type ids map[string]int

var noAnchor = regexp.MustCompile(`[^\w\- ]`)

func (taken ids) Generate(value []byte, _ ast.NodeKind) []byte {
	id := strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(string(value)), ""), " ", "-")
	n := taken[id]
	taken[id]++
	if n > 0 {
		id += "-" + strconv.Itoa(n)
	}
	return []byte(id)
}

func (taken ids) Put(value []byte) { taken[string(value)]++ }
