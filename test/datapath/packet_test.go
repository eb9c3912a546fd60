package datapath

import (
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

func clientAddr(f maps.Family) netip.Addr { return [2]netip.Addr{client4, client6}[f] }

// toVIP is a client's packet to a listener, as the router hands it over.
func toVIP(vip netip.Addr, proto uint8, port uint16, flags uint8) frame {
	f := maps.IPv4
	if vip.Is6() {
		f = maps.IPv6
	}
	return frame{
		dst: hostMAC, src: routerMAC, proto: proto, ttl: 64, flags: flags, seq: 1000, ack: 2000, id: 0x1234,
		from: netip.AddrPortFrom(clientAddr(f), 40001), to: netip.AddrPortFrom(vip, port),
	}
}

func gamePacket(f maps.Family, flags uint8) frame { return toVIP(gameVIP[f], tcp, gamePort, flags) }

func gameDatagram(f maps.Family) frame {
	return toVIP(gameVIP[f], udp, gamePort, 0).with([]byte("state 1"))
}

func shopPacket(f maps.Family, flags uint8) frame { return toVIP(shopVIP[f], tcp, shopPort, flags) }

func shopDatagram(f maps.Family) frame {
	return toVIP(shopVIP[f], udp, shopPort, 0).with([]byte("buy"))
}

func relayPacket(f maps.Family, flags uint8) frame { return toVIP(relayVIP[f], tcp, gamePort, flags) }

func relayDatagram(f maps.Family) frame {
	return toVIP(relayVIP[f], udp, gamePort, 0).with([]byte("move"))
}

// with is f with a payload.
func (f frame) with(payload []byte) frame {
	f.payload = payload
	return f
}

// at is f from another client port.
func (f frame) at(port uint16) frame {
	f.from = netip.AddrPortFrom(f.from.Addr(), port)
	return f
}

// flagged is f with other TCP flags.
func (f frame) flagged(flags uint8) frame {
	f.flags = flags
	return f
}

// steered is what a dsr backend is sent. The way to it has no tags.
func (f frame) steered(id uint16) frame {
	f.dst, f.src, f.tags = backendMAC(id), hostMAC, nil
	return f
}

func (f frame) family() maps.Family {
	if f.to.Addr().Is4() {
		return maps.IPv4
	}
	return maps.IPv6
}

// translated is what a nat backend is sent.
func (f frame) translated(id, port uint16) frame {
	f = f.steered(id)
	f.ttl--
	f.to = netip.AddrPortFrom(backendAddr(f.family(), id), port)
	return f
}

// answer is a nat backend's answer to a client's packet.
func (f frame) answer(id, port, flags uint16) frame {
	f.src, f.dst = backendMAC(id), hostMAC
	f.to, f.from = f.from, netip.AddrPortFrom(backendAddr(f.family(), id), port)
	f.flags, f.seq, f.ack = uint8(flags), f.ack, f.seq+1
	return f
}

// returned is what the client's next hop is sent of an answer, when its packets have no tags.
func (f frame) returned() frame {
	f.src, f.dst, f.tags = hostMAC, routerMAC, nil
	f.from = netip.AddrPortFrom(shopVIP[f.family()], shopPort)
	f.ttl--
	return f
}

// gameSecond is the second port of the game's UDP listeners.
func gameSecond(f maps.Family) netip.AddrPort { return netip.AddrPortFrom(gameVIP[f], gamePort2) }
