package site

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"path"
	"slices"
)

//go:embed frame.html
var frameText string

var frame = template.Must(template.New("frame.html").Parse(frameText))

// framed is what the frame around each page is filled with.
type framed struct {
	*page
	Body   template.HTML
	Groups []group
	List   []string // of files, for a directory that has no page
}

// Style, Home and To are where things are, seen from this page.
func (f framed) Style() string         { return f.to(styleName) }
func (f framed) Home() string          { return f.to("index.html") }
func (f framed) To(other *page) string { return f.to(other.target()) }

// Here says which page this is.
func (f framed) Here(other *page) bool { return f.name == other.name }

func (s *site) html(p *page) ([]byte, error) {
	body, err := p.body()
	if err != nil {
		return nil, err
	}
	return s.fill(framed{page: p, Body: template.HTML(body), Groups: s.groups()}) // made of the repository's own pages, without raw HTML
}

// writeList writes a page with the files of a directory.
func (s *site) writeList(out, dir string) error {
	names := s.filesBelow(dir)
	slices.Sort(names)
	html, err := s.fill(framed{page: &page{name: path.Join(dir, first), Title: dir}, Groups: s.groups(), List: names})
	if err != nil {
		return err
	}
	return put(out, path.Join(dir, "index.html"), html)
}

func (s *site) fill(f framed) ([]byte, error) {
	var b bytes.Buffer
	if err := frame.Execute(&b, f); err != nil {
		return nil, fmt.Errorf("make HTML of %s: %w", f.name, err)
	}
	return b.Bytes(), nil
}
