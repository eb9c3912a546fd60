// Package bundle cleans what goes into a support bundle: it takes out secrets, and puts names in place of addresses of
// players.
package bundle

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"regexp"
)

// Mask puts a name in place of each address that is not to be kept, the same for the same address within a bundle and
// another one in the next, so that a player can be followed and not found.
type Mask struct {
	key  []byte
	keep map[netip.Addr]bool
}

// NewMask keeps these addresses, and those that every host has.
func NewMask(keep []netip.Addr) *Mask {
	m := &Mask{key: make([]byte, 16), keep: map[netip.Addr]bool{}}
	rand.Read(m.key) // never fails
	for _, a := range keep {
		m.keep[a.Unmap()] = true
	}
	return m
}

// What may be an address. Whether it is one is for the parser to say.
var (
	v4 = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}`)
	v6 = regexp.MustCompile(`(?i)(?:[0-9a-f]{1,4})?(?::[0-9a-f]{0,4}){2,8}(?:(?:\.\d{1,3}){3})?`)
)

// Text gives the text without the addresses.
func (m *Mask) Text(text string) string {
	return v4.ReplaceAllStringFunc(v6.ReplaceAllStringFunc(text, m.v6), m.name)
}

// v6 finds the longest address that a run of digits and colons begins with: a port, or a sentence's colon, may stand behind.
func (m *Mask) v6(word string) string {
	for end := len(word); end > 1; end-- {
		if addr, err := netip.ParseAddr(word[:end]); err == nil {
			return m.nameOf(addr, word[:end]) + word[end:]
		}
	}
	return word
}

func (m *Mask) name(word string) string {
	if addr, err := netip.ParseAddr(word); err == nil {
		return m.nameOf(addr, word)
	}
	return word
}

func (m *Mask) nameOf(addr netip.Addr, word string) string {
	addr = addr.Unmap()
	if m.keep[addr] || addr.IsUnspecified() || addr.IsLoopback() {
		return word
	}
	h := hmac.New(sha256.New, m.key)
	h.Write(addr.AsSlice())
	return "address-" + hex.EncodeToString(h.Sum(nil)[:5])
}
