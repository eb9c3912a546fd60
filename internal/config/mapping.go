package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// mapping is a map of the file with a fixed set of keys.
type mapping struct {
	value
	entries map[string]value
}

// entry is one key of a map whose keys are names.
type entry struct {
	name  string
	key   value
	value value
}

// mapping reads a map that may have the given keys and no others.
func (v value) mapping(keys ...string) (mapping, bool) {
	list, ok := v.named()
	if !ok {
		return mapping{}, false
	}
	m := mapping{v, make(map[string]value, len(list))}
	for _, e := range list {
		if !slices.Contains(keys, e.name) {
			e.key.fail("%s", unknownKey(e.name, keys))
			continue
		}
		m.entries[e.name] = e.value
	}
	return m, true
}

// named reads a map of any keys, in the order of the file. Of a key that is
// there twice the first stays.
func (v value) named() ([]entry, bool) {
	n := v.resolved()
	if n.Kind != yaml.MappingNode {
		v.fail("want a map, got %s", describe(n))
		return nil, false
	}
	if v.d.full() {
		return nil, false
	}
	entries := make([]entry, 0, len(n.Content)/2)
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			v.d.fail(k.Line, v.field, "want a name as key, got %s", describe(k))
			continue
		}
		field := join(v.field, k.Value)
		key := value{v.d, k, field, k.Line}
		if line, twice := first[k.Value]; twice {
			key.fail("duplicate key, first on line %d", line)
			continue
		}
		first[k.Value] = k.Line
		entries = append(entries, entry{k.Value, key, value{v.d, val, field, lineOf(k, val)}})
	}
	return entries, true
}

// get gives the value of key, if it is there.
func (m mapping) get(key string) (value, bool) {
	v, ok := m.entries[key]
	return v, ok
}

// need gives the value of key, and reports when it is not there.
func (m mapping) need(key string) (value, bool) {
	v, ok := m.entries[key]
	if !ok {
		m.d.fail(m.line, join(m.field, key), "missing")
	}
	return v, ok
}

// lineOf gives a scalar its own line, a map or list that of its key.
func lineOf(key, val *yaml.Node) int {
	if val.Kind == yaml.ScalarNode && val.Tag != "!!null" {
		return val.Line
	}
	return key.Line
}

// join gives the field called name inside field. A name that would be
// misread in a path is quoted.
func join(field, name string) string {
	if name == "" || len(name) > maxShown || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }) {
		name = quote(name)
	}
	if field == "" {
		return name
	}
	return field + "." + name
}

func isNameRune(r rune) bool {
	return r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// parentField gives the field that field stands in, "" for the outermost.
func parentField(field string) string {
	return field[:max(0, strings.LastIndexAny(field, ".["))]
}

func unknownKey(name string, keys []string) string {
	if guess, ok := nearest(name, keys); ok {
		return fmt.Sprintf("unknown key: did you mean %s?", guess)
	}
	return "unknown key: the keys here are " + strings.Join(keys, ", ")
}
