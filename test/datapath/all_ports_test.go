package datapath

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

const allPorts = `
interfaces: [eth0]
services:
  shop:
    forwarding: nat
    listeners:
      - {vip: 203.0.113.20, protocol: tcp, port: all}
      - {vip: "2001:db8::20", protocol: tcp, port: all}
    pools:
      blue: {version: "1", backends: [{address: [192.0.2.1, "2001:db8:b::1"]}]}
`

const login = `  login:
    forwarding: nat
    listeners:
      - {vip: 203.0.113.20, protocol: tcp, port: 80}
      - {vip: "2001:db8::20", protocol: tcp, port: 80}
    pools:
      blue: {version: "7", backends: [{address: [192.0.2.7, "2001:db8:b::7"], port: 8080}]}
`

var bothVIPs = map[string][2]string{"203.0.113.20": {"192.0.2.1", "192.0.2.7"}, "2001:db8::20": {"2001:db8:b::1", "2001:db8:b::7"}}

// Every port goes to the listener of all ports, and its replies come back from it, but for the ports of others.
func TestAllPorts(t *testing.T) {
	for vip, backends := range bothVIPs {
		t.Run(vip, func(t *testing.T) {
			s := mustSite(t, allPorts+login)
			shop, shopLogin := s.id("192.0.2.1", 0), s.id("192.0.2.7", 8080)
			for _, port := range []uint16{1, 22, 79, 81, 8080, 65535} {
				s.mustTranslate(t, player(vip, tcp, port, syn), shop, backends[0], port)
			}
			s.mustTranslate(t, player(vip, tcp, 80, syn), shopLogin, backends[1], 8080)
			if v, _ := s.run(t, player(vip, udp, 81, 0).bytes()); v != pass {
				t.Errorf("another protocol: verdict %v", v)
			}
		})
	}
}

// mustTranslate sends a packet to a backend and its answer back, and compares every byte.
func (s *site) mustTranslate(t *testing.T, f frame, id uint16, addr string, port uint16) {
	t.Helper()
	want := f.steered(id)
	want.ttl--
	want.to = netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	if v, out := s.run(t, f.bytes()); v != tx || !bytes.Equal(out, want.bytes()) {
		t.Errorf("port %d: verdict %v\n% x, want\n% x", f.to.Port(), v, out, want.bytes())
	}
	answer := want
	answer.src, answer.dst = backendMAC(id), hostMAC
	answer.from, answer.to = want.to, want.from
	answer.flags, answer.ttl = syn|ack, 64
	back := answer
	back.src, back.dst, back.from = hostMAC, routerMAC, f.to
	back.ttl--
	if v, out := s.run(t, answer.bytes()); v != tx || !bytes.Equal(out, back.bytes()) {
		t.Errorf("the answer from port %d: verdict %v\n% x, want\n% x", port, v, out, back.bytes())
	}
}

// A port that gets a service of its own, or loses it, keeps the sessions that it has, and their way back.
func TestASessionStaysWhenItsPortLeavesAllPorts(t *testing.T) {
	for vip, backends := range bothVIPs {
		t.Run(vip, func(t *testing.T) {
			s := mustSite(t, allPorts)
			shop := s.id("192.0.2.1", 0)
			old := player(vip, tcp, 80, syn)
			s.mustTranslate(t, old, shop, backends[0], 80)
			s.apply(allPorts + login)
			own := s.id("192.0.2.7", 8080)
			s.mustTranslate(t, old.flagged(ack), shop, backends[0], 80)
			s.mustTranslate(t, old.at(2), own, backends[1], 8080)
			s.apply(allPorts)
			s.mustTranslate(t, old.flagged(ack), shop, backends[0], 80)
			s.mustTranslate(t, old.at(2).flagged(ack), own, backends[1], 8080)
			s.mustTranslate(t, old.change(func(f *frame) { f.to = netip.AddrPortFrom(f.to.Addr(), 81) }), shop, backends[0], 81)
		})
	}
}

// A listener of all ports that is removed keeps its sessions and takes no new ones.
func TestARemovedListenerOfAllPortsKeepsItsSessions(t *testing.T) {
	s := mustSite(t, allPorts)
	shop := s.id("192.0.2.1", 0)
	old := player("203.0.113.20", tcp, 443, syn)
	s.mustTranslate(t, old, shop, "192.0.2.1", 443)
	s.apply(strings.Replace(allPorts, "port: all", "port: 80", 1))
	s.mustTranslate(t, old.flagged(ack), shop, "192.0.2.1", 443)
	if got := s.to(old.at(2)); got != 0 {
		t.Errorf("a new session on port 443 went to backend %d", got)
	}
	s.mustTranslate(t, player("203.0.113.20", tcp, 80, syn), shop, "192.0.2.1", 80)
	if kept, changed := s.im.Collect(s.mustSweep(t)); changed || kept.Listeners[maps.Socket{Addr: old.to.Addr(), Protocol: tcp}].Kind != maps.Closed {
		t.Error("it was collected with a session")
	}
}

// Moved to all ports within dsr, a port's sessions stay with their backend, and new ones are not refused.
func TestASessionStaysWhenItsPortFallsToAllPorts(t *testing.T) {
	dsr := strings.NewReplacer("nat", "dsr", ", port: 8080", "").Replace(allPorts + login)
	s := mustSite(t, dsr)
	shop, own := s.id("192.0.2.1", 0), s.id("192.0.2.7", 0)
	old := player("203.0.113.20", tcp, 80, syn)
	if got := s.to(old); got != own {
		t.Errorf("port 80 goes to backend %d, want %d", got, own)
	}
	s.apply(strings.Replace(allPorts, "nat", "dsr", 1))
	if got := s.to(old.flagged(ack)); got != own {
		t.Errorf("its session went to backend %d, want %d", got, own)
	}
	if got := s.to(old.at(2)); got != shop {
		t.Errorf("a new session on it went to backend %d, want %d", got, shop)
	}
}
