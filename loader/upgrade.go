package loader

import "errors"

// Importing says what an upgrade is still importing; empty when nothing.
func (p *Plane) Importing() string { return "" }

// Upgrade replaces the program.
func (p *Plane) Upgrade(maxFlows uint32, step func(string)) error {
	return errors.New("not wired")
}
