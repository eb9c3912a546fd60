package datapath

import (
	"encoding/binary"
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

// model is the flow table as DESIGN.md tells it: a map from flow to pin, without slots, lines, words or clocks.
type model struct {
	flows  map[key]*modelFlow
	steer  map[uint16]maps.Steer // by service
	tables map[uint16][]uint16   // backend ids by generation
}

type modelFlow struct {
	proto   uint8
	nat     bool
	backend uint16
	state   maps.FlowState
	age     uint32 // ticks that its traffic has spanned
	silence uint32 // ticks since its last packet
	fin     bool
	end     uint32 // sequence number after the SYN or the FIN
}

// outcome is what a packet should meet: a backend, or a reason to drop or pass.
type outcome struct {
	backend uint16
	reason  string
	moves   moves
}

func newModel(backends int) *model {
	m := &model{
		flows:  map[key]*modelFlow{},
		steer:  map[uint16]maps.Steer{game: {Live: blue}, shop: {Live: shopBlue}},
		tables: map[uint16][]uint16{},
	}
	for generation := range generations {
		for i := range backends {
			m.tables[generation] = append(m.tables[generation], 10*generation+uint16(i)+1)
		}
	}
	return m
}

func (f *modelFlow) expired() bool { return f.silence > standardOf(f.proto, f.state) }

// fromClient is a packet to a listener.
func (m *model) fromClient(f frame) outcome {
	e := m.flows[f.key()]
	if e == nil || e.expired() {
		return m.begin(f)
	}
	generation := generations[e.backend/10]
	opens := f.proto == tcp && f.flags&(syn|ack) == syn
	switch {
	case opens && (e.state == maps.Closing || e.state == maps.HalfOpen && e.end != endOf(f) ||
		e.state != maps.HalfOpen && e.silence >= reuseAfter):
		return m.begin(f)
	case opens && e.state != maps.HalfOpen:
		return outcome{backend: e.backend, moves: sent(generation, f.bytes()).and(moves{generation + ".reopened": 1})}
	case opens:
		e.silence = 0
	default:
		e.packet(f, false)
	}
	return outcome{backend: e.backend, moves: sent(generation, f.bytes())}
}

// sentAgain says whether a SYN is the one that its flow began with.
func (m *model) sentAgain(f frame) bool {
	e := m.flows[f.key()]
	return e != nil && e.end == endOf(f)
}

// begin is a packet that no pin covers.
func (m *model) begin(f frame) outcome {
	delete(m.flows, f.key())
	service := uint16(game)
	if f.to.Addr() == shopVIP[f.family()] {
		service = shop
	}
	orphan := f.proto == tcp && f.flags&(syn|ack) != syn
	generation := m.steer[service].Live
	if previous := m.steer[service].Previous; orphan && len(m.tables[previous]) != 0 {
		generation = previous
	}
	table := m.tables[generation]
	if generation == 0 || len(table) == 0 {
		return outcome{reason: "drop_no_generation", moves: moves{"drop_no_generation": 1}}
	}
	e := &modelFlow{proto: f.proto, nat: service == shop, state: maps.HalfOpen, end: endOf(f)}
	e.backend = table[uint64(steeringHash(f))*uint64(len(table))>>32]
	if f.proto == tcp && f.flags&(fin|rst) != 0 {
		e.state = maps.Closing
	}
	if f.proto == tcp && f.flags&fin != 0 {
		e.fin = true
	}
	m.flows[f.key()] = e
	kind := map[bool]string{true: ".orphans", false: ".new"}[orphan]
	name := generations[generation]
	return outcome{backend: e.backend, moves: sent(name, f.bytes()).and(moves{name + kind: 1})}
}

// fromBackend is a nat backend's packet to the client of a flow, whose key is given.
func (m *model) fromBackend(k key, f frame, id uint16) outcome {
	e := m.flows[k]
	if e == nil || e.expired() || e.backend != id {
		return outcome{reason: "pass_no_flow", moves: moves{"pass_no_flow": 1}}
	}
	e.packet(f, true)
	return outcome{moves: moves{}}
}

// packet is one of an entry's own, other than a SYN that opens.
func (e *modelFlow) packet(f frame, fromBackend bool) {
	flags := f.flags
	if f.proto == udp {
		flags = 0
	}
	switch {
	case flags&fin != 0:
		e.grow()
		e.state, e.fin, e.end = maps.Closing, true, endOf(f)
	case flags&rst != 0 && e.state != maps.Closing:
		e.grow()
		e.state, e.fin = maps.Closing, false
	case flags&(rst|syn) == 0:
		e.traffic(f, fromBackend)
	}
	e.silence = 0
}

func (e *modelFlow) traffic(f frame, fromBackend bool) {
	switch {
	case e.fin && len(f.payload) > 0 && int32(f.seq-e.end) >= 0:
		e.fin = false // data from behind the FIN
	case e.fin && len(f.payload) == 0 && (f.seq == e.end || f.ack == e.end):
		e.state = maps.Closing
		return
	}
	switch e.state {
	case maps.HalfOpen:
		if !fromBackend {
			e.state = maps.Young
		}
	case maps.Closing:
		e.state = maps.Young
		if e.age >= tillEstablished {
			e.state = maps.Established
		}
	default:
		e.grow()
		if fromBackend {
			e.state = maps.Established
		}
	}
}

// grow adds the silence that a packet ends to the flow's age.
func (e *modelFlow) grow() {
	e.age = min(15, e.age+e.silence)
	if e.state == maps.Young && e.age >= tillEstablished && !e.nat {
		e.state = maps.Established
	}
}

// endOf is the sequence number after a SYN, whose data may be missing when it is sent again, or after a FIN.
func endOf(f frame) uint32 {
	if f.flags&(syn|ack) == syn {
		return f.seq + 1
	}
	return f.seq + uint32(len(f.payload)) + 1
}

// pass lets ticks go by.
func (m *model) pass(ticks uint32) {
	for _, e := range m.flows {
		e.silence += ticks
	}
}

// sweep forgets what has expired.
func (m *model) sweep() (freed uint64) {
	for k, e := range m.flows {
		if e.expired() {
			delete(m.flows, k)
			freed++
		}
	}
	return freed
}

// steeringHash is the hash that every host agrees on, from addresses and ports alone.
func steeringHash(f frame) uint32 {
	ports := uint64(wire(f.from.Port()))<<16 | uint64(wire(f.to.Port()))
	var words [3]uint64
	if a := f.from.Addr(); a.Is4() {
		words[0] = uint64(binary.LittleEndian.Uint32(a.AsSlice()))<<32 | ports
	} else {
		words = [3]uint64{ports, binary.LittleEndian.Uint64(a.AsSlice()), binary.LittleEndian.Uint64(a.AsSlice()[8:])}
	}
	h := words[0] * 0x9e3779b97f4a7c15
	h = ((h ^ h>>32) + words[1]) * 0xbf58476d1ce4e5b9
	h = ((h ^ h>>29) + words[2]) * 0x94d049bb133111eb
	return uint32(h >> 32)
}

// wire is a port as a little-endian CPU reads it off the wire.
func wire(port uint16) uint16 { return port<<8 | port>>8 }

// modelKinds are the listeners that the model's clients use.
func modelKinds() (out []frame) {
	for _, f := range maps.Families() {
		second := gameDatagram(f)
		second.to = gameSecond(f)
		other := gamePacket(f, 0)
		other.to = netip.AddrPortFrom(otherVIP[f], gamePort)
		out = append(out, gamePacket(f, 0), gameDatagram(f), second, other, shopPacket(f, 0), shopDatagram(f))
	}
	return out
}
