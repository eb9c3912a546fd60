package site

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// resolve turns the links of a page into those of the site, and meets the pages that they lead to.
func (p *page) resolve(s *site) error {
	return ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var err error
		switch n := n.(type) {
		case *ast.Link:
			n.Destination, err = p.link(s, string(n.Destination))
		case *ast.Image:
			if strings.Contains(string(n.Destination), "://") {
				return ast.WalkStop, fmt.Errorf("%s: the picture %s is elsewhere", p.name, n.Destination)
			}
			n.Destination, err = p.link(s, string(n.Destination))
		}
		return ast.WalkContinue, err
	})
}

// link gives what stands for a link in the site. A page elsewhere is left to whoever follows it.
func (p *page) link(s *site, to string) ([]byte, error) {
	if strings.Contains(to, "://") {
		return []byte(to), nil
	}
	file, anchor, _ := strings.Cut(to, "#")
	name := p.name
	if file != "" {
		name = path.Join(path.Dir(p.name), file)
	}
	target, err := s.targetOf(name)
	if err != nil {
		return nil, fmt.Errorf("%s: link to %s: %w", p.name, to, err)
	}
	if anchor == "" {
		return []byte(p.to(target.file)), nil
	}
	p.wants = append(p.wants, place{target.page, anchor})
	if s.known[target.page] == nil {
		return nil, fmt.Errorf("%s: link to %s: what is no page has no headings", p.name, to)
	}
	if file == "" {
		return []byte("#" + anchor), nil
	}
	return []byte(p.to(target.file) + "#" + anchor), nil
}

// target is a file of the site, and the page that it is made of, if it is one.
type target struct{ file, page string }

// targetOf finds what the site has for a file of the repository, or takes it into the site.
func (s *site) targetOf(name string) (target, error) {
	if !filepath.IsLocal(name) {
		return target{}, fmt.Errorf("it leads out of the repository")
	}
	info, err := os.Stat(filepath.Join(s.root, name))
	if err != nil {
		return target{}, err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(s.root, name, first)); err != nil {
			return target{file: path.Join(name, "index.html")}, s.take(name)
		}
		name = path.Join(name, first)
	}
	if path.Ext(name) != ".md" {
		s.files[name] = true
		return target{file: name}, nil
	}
	if err := s.meet(name); err != nil {
		return target{}, err
	}
	return target{s.known[name].target(), name}, nil
}

// take takes a directory into the site.
func (s *site) take(dir string) error {
	s.dirs[dir] = true
	return filepath.WalkDir(filepath.Join(s.root, dir), func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(s.root, file)
		s.files[name] = true
		return err
	})
}

// filesBelow lists what a directory in the site has.
func (s *site) filesBelow(dir string) (names []string) {
	for name := range s.files {
		if below, ok := strings.CutPrefix(name, dir+"/"); ok {
			names = append(names, below)
		}
	}
	return names
}
