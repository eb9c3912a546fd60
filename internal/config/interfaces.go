package config

import (
	"strings"
	"unicode"
)

// maxInterfaceName is IFNAMSIZ without its final zero byte.
const maxInterfaceName = 15

func (v value) interfaces() []string {
	items, _ := v.list()
	names := make([]string, 0, len(items))
	first := make(map[string]value, len(items))
	for _, item := range items {
		item.remember()
		name, ok := item.text()
		if !ok {
			continue
		}
		if reason := badInterface(name); reason != "" {
			item.fail("%s", reason)
			continue
		}
		if before, twice := first[name]; twice {
			item.fail("%s is already %s on line %d", name, before.field, before.line)
			continue
		}
		first[name] = item
		names = append(names, name)
	}
	return names
}

// badInterface says what the kernel's dev_valid_name would refuse, and
// refuses what could not be printed.
func badInterface(name string) string {
	switch {
	case name == "":
		return "empty interface name"
	case len(name) > maxInterfaceName:
		return "interface name longer than 15 bytes"
	case name == "." || name == ".." || strings.ContainsFunc(name, isNoInterfaceRune):
		return "not an interface name"
	}
	return ""
}

func isNoInterfaceRune(r rune) bool {
	return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r)
}
