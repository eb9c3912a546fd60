package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxShown is how many bytes of a value a message repeats.
const maxShown = 64

// value is one place in the file: a node, the field it stands for, and the
// line to name when it is wrong. Its methods report what they refuse.
type value struct {
	d     *decoder
	node  *yaml.Node
	field string
	line  int
}

func (v value) fail(format string, args ...any) { v.d.fail(v.line, v.field, format, args...) }

// resolved follows an alias to what it stands for.
func (v value) resolved() *yaml.Node {
	if v.node.Kind == yaml.AliasNode && v.node.Alias != nil {
		return v.node.Alias
	}
	return v.node
}

// remember keeps the line of this field for Config.Mistake.
func (v value) remember() { v.d.lines[v.field] = v.line }

// list gives the items of a list that must not be empty.
func (v value) list() ([]value, bool) {
	n := v.resolved()
	if n.Kind != yaml.SequenceNode {
		v.fail("want a list, got %s", describe(n))
		return nil, false
	}
	if len(n.Content) == 0 {
		v.fail("empty list")
		return nil, false
	}
	if v.d.full() {
		return nil, false
	}
	items := make([]value, len(n.Content))
	for i, c := range n.Content {
		items[i] = value{v.d, c, fmt.Sprintf("%s[%d]", v.field, i), c.Line}
	}
	return items, true
}

// text gives a scalar as it is written, so that 1.10 does not become 1.1.
func (v value) text() (string, bool) {
	n := v.resolved()
	if n.Kind == yaml.ScalarNode {
		switch n.Tag {
		case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
			return n.Value, true
		}
	}
	v.fail("want text, got %s", describe(n))
	return "", false
}

// number gives a whole number from lo to hi.
func (v value) number(lo, hi uint32) (uint32, bool) {
	n := v.resolved()
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" {
		v.fail("want a whole number, got %s", describe(n))
		return 0, false
	}
	if !isDecimal(strings.TrimPrefix(n.Value, "-")) {
		v.fail("want a whole number in plain decimal digits, got %s", plain(n.Value))
		return 0, false
	}
	u, err := strconv.ParseUint(n.Value, 10, 32)
	if err != nil || uint32(u) < lo || uint32(u) > hi {
		v.fail("want %d to %d, got %s", lo, hi, plain(n.Value))
		return 0, false
	}
	return uint32(u), true
}

// duration gives a span such as 90s or 2h.
func (v value) duration() (time.Duration, bool) {
	n := v.resolved()
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if d, err := time.ParseDuration(n.Value); err == nil {
			return d, true
		}
	}
	v.fail("want a duration such as 30s, 5m or 2h, got %s", describe(n))
	return 0, false
}

// yesOrNo is whether it says true; what is neither is refused, and false.
func (v value) yesOrNo() bool {
	word, _ := oneOf(v, "true", "false")
	return word == "true"
}

// oneOf gives the choice that is written.
func oneOf[T ~string](v value, choices ...T) (T, bool) {
	text, ok := v.text()
	if !ok {
		return "", false
	}
	names := make([]string, len(choices))
	for i, c := range choices {
		if text == string(c) {
			return c, true
		}
		names[i] = string(c)
	}
	v.fail("want %s, got %s", strings.Join(names, " or "), quote(text))
	return "", false
}

// isDecimal says whether s is a number without sign, leading zero, base or
// separator, for YAML 1.1 and 1.2 disagree on all of these.
func isDecimal(s string) bool {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// describe names what stands in the file for a message.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!str":
		return quote(n.Value)
	case strings.HasPrefix(n.Tag, "!!"):
		return plain(n.Value)
	}
	return "the tag " + quote(n.Tag)
}

// quote shows text of the file in a message: on one line and not too long.
func quote(text string) string {
	if len(text) > maxShown {
		return strconv.Quote(text[:maxShown]) + "..."
	}
	return strconv.Quote(text)
}

// plain is quote without the quotes, for what is no string to YAML.
func plain(text string) string {
	quoted := quote(text)
	return strings.Replace(quoted[1:], `"`, "", 1)
}

func (v value) isMapping() bool { return v.resolved().Kind == yaml.MappingNode }

func (v value) isList() bool { return v.resolved().Kind == yaml.SequenceNode }
