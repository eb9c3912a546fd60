package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Staged is a pool that was given at run time. It stands in place of what the file has in its colour, until the file has its
// version too, or another one than it had there then.
type Staged struct {
	Service string
	Colour  Colour
	Version string
	Was     string // the file's version in that colour when it was staged; empty: it had none
	Pool    []byte // YAML, a map with the key backends
}

// stands says whether a staged pool still does, beside what the file has.
func (s Staged) stands(cfg *Config) bool {
	service, ok := cfg.Service(s.Service)
	if !ok || service.Pools[s.Colour].Version != s.Was {
		return false
	}
	for _, p := range service.Pools {
		if p.Version == s.Version {
			return false
		}
	}
	return true
}

// WithStaged is Parse with those pools that still stand, which are named in the Config. Mistakes in a pool are reported at the
// line of its own text.
func WithStaged(name string, data []byte, staged []Staged) (*Config, error) {
	cfg, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	staged = slices.DeleteFunc(slices.Clone(staged), func(s Staged) bool { return !s.stands(cfg) })
	if len(staged) == 0 {
		return cfg, nil
	}
	d := &decoder{file: name, lines: map[string]int{}}
	if root, ok := d.document(data); ok {
		for _, s := range staged {
			d.stage(root, s)
		}
		if len(d.errs) == 0 {
			if cfg = d.config(root); len(d.errs) == 0 {
				cfg.Staged = staged
				return cfg, nil
			}
		}
	}
	return nil, d.sorted()
}

// stage puts a pool where the file has another one, or none. The file was read before, and is sound.
func (d *decoder) stage(root value, s Staged) {
	pool := &decoder{file: fmt.Sprintf("the pool staged for %s", s.Service), lines: d.lines}
	text, ok := pool.document(s.Pool)
	if d.errs = append(d.errs, pool.errs...); !ok {
		return
	}
	if text.node.Kind != yaml.MappingNode {
		d.fail(text.line, "services."+s.Service, "a pool is a map with the key backends, got %s", describe(text.node))
		return
	}
	if at := child(text.node, "version"); at != nil && (*at).Value != s.Version {
		d.fail((*at).Line, "services."+s.Service, "the pool is of version %s, not of %s", plain((*at).Value), s.Version)
	} else if at == nil {
		put(text.node, "version", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.Version, Line: text.line})
	}
	node := root.node
	for _, key := range []string{"services", s.Service, "pools"} { // each its own: an alias may stand for several
		at := child(node, key)
		own := *value{node: *at}.resolved()
		own.Content = slices.Clone(own.Content)
		own.Anchor = ""
		*at = &own
		node = &own
	}
	put(node, s.Colour.String(), text.node)
}

// child is where a map has the value of a key; nil: it has none.
func child(m *yaml.Node, key string) **yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return &m.Content[i+1]
		}
	}
	return nil
}

func put(m *yaml.Node, key string, v *yaml.Node) {
	if at := child(m, key); at != nil {
		*at = v
		return
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: v.Line}, v)
}
