package explain

import (
	"fmt"
	"time"

	"github.com/ebbtide/ebbtide/maps"
)

// name is how steps call a generation.
func (w *walk) name(generation uint16) string {
	g, there := w.k.Generation(generation)
	if !there {
		return "no generation"
	}
	if colour := colours[g.Colour]; colour != "" {
		return fmt.Sprintf("generation %d (%s, version %s)", g.Number, colour, g.Version)
	}
	return fmt.Sprintf("generation %d (version %s)", g.Number, g.Version)
}

var colours = map[maps.Colour]string{maps.Blue: "blue", maps.Green: "green"}

// server is how steps call a backend.
func (w *walk) server(id uint16) string {
	b, there := w.k.Backend(w.family, id)
	switch {
	case !there:
		return fmt.Sprintf("backend id %d, which is gone", id)
	case b.Port != 0:
		return fmt.Sprintf("%s port %d", b.Addr, b.Port)
	}
	return b.Addr.String()
}

// span is a number of ticks as time.
func (w *walk) span(ticks uint32) time.Duration {
	return (time.Duration(ticks) * w.host.Tick).Round(time.Second)
}

func protocolName(p maps.Protocol) string {
	if p == maps.ProtocolTCP {
		return "tcp"
	}
	return "udp"
}
