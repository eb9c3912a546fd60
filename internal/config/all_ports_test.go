package config

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAListenerOfAllPortsLeavesRoomForOthers(t *testing.T) {
	text := strings.Replace(sound, "{vip: 203.0.113.11, protocol: tcp, port: 443}", "{vip: 203.0.113.10, protocol: tcp, port: all}", 1)
	text = strings.Replace(text, ", port: 8443", "", 1)
	lobby, _ := mustParse(t, text).Service("lobby")
	l := lobby.Listeners[0]
	if !l.All() || l.Ports() != "all" || l.String() != "203.0.113.10 tcp all" || l.count() != 1 {
		t.Errorf("%+v", l)
	}
	if world, _ := mustParse(t, text).Service("world"); world.Listeners[0].All() {
		t.Error("a listener of one port is one of all")
	}
}

func TestMistakesOfListenersOfAllPortsAreNamed(t *testing.T) {
	const lobby = "listeners: [{vip: 203.0.113.11, protocol: tcp, port: 443}]"
	refuse(t, []mistake{
		{"two of one VIP and protocol", "port: 7777}\n", "port: all}\n      - {vip: 203.0.113.10, protocol: tcp, port: all}\n",
			[]string{"6: services.world.listeners[1].port: all overlaps services.world.listeners[0] (203.0.113.10 tcp all) on line 5"}},
		{"a backend port for it", "port: 443", "port: all",
			[]string{"23: services.lobby.pools.blue.backends[0].port: one port can't stand for the range of services.lobby.listeners[0] (203.0.113.11 tcp all)"}},
		{"two VIPs before one backend", lobby + "\n    pools:\n      blue:\n        version: v7\n        backends:\n          - {address: 10.0.2.1, port: 8443}",
			"listeners: [{vip: 203.0.113.11, protocol: tcp, port: all}, {vip: 203.0.113.12, protocol: tcp, port: all}]\n    pools:\n      blue:\n        version: v7\n        backends:",
			[]string{"23: services.lobby.pools.blue.backends[0].address: 10.0.2.2 tcp all would answer for services.lobby.listeners[1] and for services.lobby.listeners[0] (services.lobby.pools.blue.backends[0] on line 23): nat knows a reply by its backend socket"}},
		{"another VIP's port before its backend", lobby + "\n    pools:\n      blue:\n        version: v7\n        backends:\n          - {address: 10.0.2.1, port: 8443}",
			"listeners: [{vip: 203.0.113.11, protocol: tcp, port: all}, {vip: 203.0.113.12, protocol: tcp, port: 80}]\n    pools:\n      blue:\n        version: v7\n        backends:",
			[]string{"23: services.lobby.pools.blue.backends[0].address: 10.0.2.2 tcp 80 would answer for services.lobby.listeners[1] and for services.lobby.listeners[0] (services.lobby.pools.blue.backends[0] on line 23): nat knows a reply by its backend socket"}},
	})
}

// What listens at a backend, by brute force: every port of all that the VIP has no listener for.
func TestNATBackendsOfListenersOfAllPortsAreRefusedJustWhenAReplyWouldBeAmbiguous(t *testing.T) {
	const ports = 4
	rapid.Check(t, func(t *rapid.T) {
		own, all := map[string]bool{}, map[string]bool{}
		var services [2][]drawnListener
		for s := range services {
			for i := range rapid.IntRange(1, 2).Draw(t, "listeners") {
				l := drawnListener{name: fmt.Sprint(s, i), vip: fmt.Sprintf("203.0.113.%d", rapid.IntRange(1, 2).Draw(t, "vip"))}
				if rapid.Bool().Draw(t, "all") {
					if all[l.vip] {
						t.Skip("two of all ports of one VIP")
					}
					all[l.vip] = true
				} else {
					l.first, l.last = drawPorts(t, ports)
				}
				for p := l.first; p > 0 && p <= l.last; p++ {
					if own[fmt.Sprint(l.vip, p)] {
						t.Skip("two listeners of one port")
					}
					own[fmt.Sprint(l.vip, p)] = true
				}
				services[s] = append(services[s], l)
			}
		}
		replies := &drawnReplies{listeners: map[string]string{}, backends: map[string]string{}}
		text := head
		for s, listeners := range services {
			text += fmt.Sprintf("  s%d:\n    forwarding: nat\n    listeners:\n", s)
			for _, l := range listeners {
				port := "all"
				if l.first > 0 {
					port = fmt.Sprintf("%d-%d", l.first, l.last)
				}
				text += fmt.Sprintf("      - {vip: %s, protocol: tcp, port: %s}\n", l.vip, port)
			}
			addr := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.1", "10.0.0.2"}).Draw(t, "address")
			port := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "port")
			text += "    pools: {blue: {version: v, backends: [{address: " + addr
			if port != 0 {
				text += fmt.Sprintf(", port: %d", port)
			}
			text += "}]}}\n"
			for _, l := range listeners {
				l.answer(replies, own, addr, port, ports)
			}
		}
		if _, err := Parse("f", []byte(text)); (err != nil) != replies.ambiguous {
			t.Fatalf("ambiguous %v, but %v of\n%s", replies.ambiguous, err, text)
		}
	})
}

// answer adds the sockets at which a backend answers for l. One port more than listeners have stands for all others.
func (l drawnListener) answer(r *drawnReplies, own map[string]bool, addr string, port, ports int) {
	switch {
	case port != 0:
		r.ambiguous = r.ambiguous || l.first != l.last || l.first == 0
		r.add(fmt.Sprint(addr, port), l.name, addr)
	case l.first != 0:
		for p := l.first; p <= l.last; p++ {
			r.add(fmt.Sprint(addr, p), l.name, addr)
		}
	default:
		for p := 1; p <= ports+1; p++ {
			if !own[fmt.Sprint(l.vip, p)] {
				r.add(fmt.Sprint(addr, p), l.name, addr)
			}
		}
	}
}
