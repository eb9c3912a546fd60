package config

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// head begins every drawn file.
const head = "interfaces: [eth0]\nservices:\n"

func drawPorts(t *rapid.T, most int) (first, last int) {
	first = rapid.IntRange(1, most).Draw(t, "first")
	return first, rapid.IntRange(first, min(first+2, most)).Draw(t, "last")
}

func TestListenersAreRefusedJustWhenOnePacketIsForTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		taken, overlap := map[string]bool{}, false
		text := head
		for s := range rapid.IntRange(1, 3).Draw(t, "services") {
			text += fmt.Sprintf("  s%d:\n    pools: {blue: {version: v, backends: [{address: 10.0.0.1}]}}\n    listeners:\n", s)
			for range rapid.IntRange(1, 4).Draw(t, "listeners") {
				vip := rapid.SampledFrom([]string{"203.0.113.1", "203.0.113.2"}).Draw(t, "vip")
				proto := rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "protocol")
				first, last := drawPorts(t, 20)
				text += fmt.Sprintf("      - {vip: %s, protocol: %s, port: %d-%d}\n", vip, proto, first, last)
				for port := first; port <= last; port++ {
					packet := fmt.Sprint(vip, proto, port)
					overlap = overlap || taken[packet]
					taken[packet] = true
				}
			}
		}
		if _, err := Parse("f", []byte(text)); (err != nil) != overlap {
			t.Fatalf("overlap %v, but %v of\n%s", overlap, err, text)
		}
	})
}

// drawnReplies says by brute force whether any reply would be ambiguous.
type drawnReplies struct {
	listeners map[string]string // by backend socket
	backends  map[string]string // by backend socket
	ambiguous bool
}

func (r *drawnReplies) add(socket, listener, backend string) {
	if l, known := r.listeners[socket]; known && l != listener {
		r.ambiguous = true
	}
	if b, known := r.backends[socket]; known && b != backend {
		r.ambiguous = true
	}
	r.listeners[socket], r.backends[socket] = listener, backend
}

type drawnListener struct {
	name, proto string
	vip         string // where they share it
	first, last int
}

func TestNATBackendsAreRefusedJustWhenAReplyWouldBeAmbiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replies := &drawnReplies{listeners: map[string]string{}, backends: map[string]string{}}
		text := head
		for s := range rapid.IntRange(1, 2).Draw(t, "services") {
			text += drawNATService(t, fmt.Sprintf("s%d", s), replies)
		}
		if _, err := Parse("f", []byte(text)); (err != nil) != replies.ambiguous {
			t.Fatalf("ambiguous %v, but %v of\n%s", replies.ambiguous, err, text)
		}
	})
}

func drawNATService(t *rapid.T, name string, replies *drawnReplies) string {
	text := "  " + name + ":\n    forwarding: nat\n    listeners:\n"
	var listeners []drawnListener
	for i := range rapid.IntRange(1, 2).Draw(t, "listeners") {
		l := drawnListener{name: fmt.Sprint(name, i), proto: rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "protocol")}
		l.first, l.last = drawPorts(t, 9)
		listeners = append(listeners, l)
		text += fmt.Sprintf("      - {vip: 203.0.113.%d%s, protocol: %s, port: %d-%d}\n", i+1, strings.TrimPrefix(name, "s"), l.proto, l.first, l.last)
	}
	text += "    pools:\n"
	colours := Colours()
	for _, colour := range colours[:rapid.IntRange(1, 2).Draw(t, "pools")] {
		text += fmt.Sprintf("      %s:\n        version: %s\n        backends:\n", colour, colour)
		for i := range rapid.IntRange(1, 2).Draw(t, "backends") {
			addr := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}).Draw(t, "address")
			port := rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "port")
			text += "          - {address: " + addr
			if port != 0 {
				text += fmt.Sprintf(", port: %d", port)
			}
			text += "}\n"
			for _, l := range listeners {
				first, last := l.first, l.last
				if port != 0 {
					replies.ambiguous = replies.ambiguous || first != last
					first, last = port, port
				}
				for p := first; p <= last; p++ {
					replies.add(fmt.Sprint(addr, l.proto, p), l.name, fmt.Sprint(name, colour, i))
				}
			}
		}
	}
	return text
}
