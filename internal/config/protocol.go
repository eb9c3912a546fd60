package config

import (
	"fmt"
	"strconv"
)

// Protocol is an IP protocol number that a listener may have.
type Protocol uint8

// The protocols that are steered.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

// String gives the word of the file.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return strconv.Itoa(int(p))
}

// MarshalText gives the word of the file.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes tcp or udp.
func (p *Protocol) UnmarshalText(text []byte) error {
	switch string(text) {
	case "tcp":
		*p = TCP
	case "udp":
		*p = UDP
	default:
		return fmt.Errorf("protocol %q: want tcp or udp", text)
	}
	return nil
}

func (v value) protocol() (Protocol, bool) {
	word, ok := oneOf(v, TCP.String(), UDP.String())
	if word == UDP.String() {
		return UDP, ok
	}
	return TCP, ok
}
