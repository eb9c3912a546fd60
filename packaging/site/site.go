// Package site makes HTML of the pages for people: README and what its links lead to. It asks for nothing from elsewhere and
// needs no script, so that it can be read from a disk.
package site

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
)

//go:embed style.css
var style []byte

const styleName = "style.css"

// first is where a reader begins.
const first = "README.md"

// site is what has been found so far, by the path in the repository.
type site struct {
	root  string
	pages []*page // in the order in which they are met
	known map[string]*page
	files map[string]bool // what pages link to and is no page: it is copied
	dirs  map[string]bool // and directories without a page: they get a list of their files
}

// Build writes the site of the repository at root into out, which must not have been there. A link that leads nowhere, and a
// page that nothing links to, is an error, and then nothing is written.
func Build(root, out string) error {
	s := &site{root: root, known: map[string]*page{}, files: map[string]bool{}, dirs: map[string]bool{}}
	if err := s.follow(); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	return s.write(out)
}

// follow reads the first page, then what it links to, and so on.
func (s *site) follow() error {
	if err := s.meet(first); err != nil {
		return err
	}
	for n := 0; n < len(s.pages); n++ {
		if err := s.pages[n].resolve(s); err != nil {
			return err
		}
	}
	return nil
}

// meet reads a page that nobody has seen.
func (s *site) meet(name string) error {
	if s.known[name] != nil {
		return nil
	}
	p, err := read(s.root, name)
	if err != nil {
		return err
	}
	s.known[name] = p
	s.pages = append(s.pages, p)
	return nil
}

// check holds what the pages say of each other against what there is.
func (s *site) check() error {
	var errs []error
	for _, p := range s.pages {
		for _, w := range p.wants {
			if !s.known[w.page].anchors[w.anchor] {
				errs = append(errs, fmt.Errorf("%s: %s has no heading #%s", p.name, w.page, w.anchor))
			}
		}
	}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(s.root, pattern))
		if err != nil {
			return err
		}
		for _, file := range found {
			name, err := filepath.Rel(s.root, file)
			if err != nil {
				return err
			}
			if s.known[name] == nil {
				errs = append(errs, fmt.Errorf("%s: no page that can be reached from %s links to it", name, first))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *site) write(out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("make room for the site: %w", err)
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return fmt.Errorf("make room for the site: %w", err)
	}
	for _, p := range s.pages {
		html, err := s.html(p)
		if err != nil {
			return err
		}
		if err := put(out, p.target(), html); err != nil {
			return err
		}
	}
	for dir := range s.dirs {
		if err := s.writeList(out, dir); err != nil {
			return err
		}
	}
	for name := range s.files {
		data, err := os.ReadFile(filepath.Join(s.root, name))
		if err != nil {
			return fmt.Errorf("copy into the site: %w", err)
		}
		if err := put(out, name, data); err != nil {
			return err
		}
	}
	return put(out, styleName, style)
}

func put(out, name string, data []byte) error {
	file := filepath.Join(out, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make room in the site: %w", err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return fmt.Errorf("write the site: %w", err)
	}
	return nil
}

// groups are the pages for the list on each of them: by directory, in the order in which a reader meets them.
func (s *site) groups() []group {
	var all []group
	for _, p := range s.pages {
		dir := path.Dir(p.name)
		i := slices.IndexFunc(all, func(g group) bool { return g.dir == dir })
		if i < 0 {
			all = append(all, group{dir: dir})
			i = len(all) - 1
		}
		all[i].Pages = append(all[i].Pages, p)
	}
	// A directory's own page comes first in it, and says what it is.
	for i, g := range all {
		slices.SortStableFunc(all[i].Pages, func(a, b *page) int { return cmp.Compare(b.weight(), a.weight()) })
		if own := g.Pages[0]; own.weight() > 0 && own.name != first {
			all[i].Title = own.Title
		}
	}
	return all
}

// group are the pages of a directory.
type group struct {
	dir   string
	Title string
	Pages []*page
}
