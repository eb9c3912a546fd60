package config

import "fmt"

// Colour names one of the two slots of a service. It is a label: flows are
// pinned to generations, so moving a colour never moves a flow.
type Colour string

// The two colours.
const (
	Blue  Colour = "blue"
	Green Colour = "green"
)

// Colours gives both, in the order in which they are shown.
func Colours() [2]Colour { return [2]Colour{Blue, Green} }

// Other gives the opposite colour, and "" for what is no colour.
func (c Colour) Other() Colour {
	switch c {
	case Blue:
		return Green
	case Green:
		return Blue
	}
	return ""
}

// String gives the word of the file and the CLI.
func (c Colour) String() string { return string(c) }

// MarshalText refuses what is neither blue nor green.
func (c Colour) MarshalText() ([]byte, error) {
	if c.Other() == "" {
		return nil, fmt.Errorf("colour %q: want blue or green", string(c))
	}
	return []byte(c), nil
}

// UnmarshalText refuses what is neither blue nor green.
func (c *Colour) UnmarshalText(text []byte) error {
	got := Colour(text)
	if got.Other() == "" {
		return fmt.Errorf("colour %q: want blue or green", text)
	}
	*c = got
	return nil
}
