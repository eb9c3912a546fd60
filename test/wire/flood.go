package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	flows     = 64
	firstPort = 40000
	inBatch   = 64 // frames that leave at once: fewer than a ring of veth holds
	headers   = 14 + 20 + 8
	settled   = 20 * time.Millisecond // without a datagram: all that are left have arrived
)

// flood is the generator on the router's interface towards the balancer, and the sinks on the backends'.
type flood struct {
	coll  *ebpf.Collection
	sinks []link.Link
	frame []byte
	from  int // index of the router's interface
}

// attach makes the flood ready. The balancer's interface polls, with a program of its own or without one: nothing else
// takes frames that no stack has sent.
func (s *stage) attach() (err error) {
	if s.host == nil {
		if err := s.lab.LB.SetGRO("eth0", true); err != nil {
			return err
		}
	}
	frame, err := s.datagram()
	if err != nil {
		return err
	}
	spec, err := loadFlood()
	if err != nil {
		return fmt.Errorf("read the flood's object: %w", err)
	}
	for name, value := range map[string]any{
		"ORIGINAL": [headers]byte(frame), "FLOWS": uint32(flows), "FIRST_PORT": uint16(firstPort), "PORT": uint16(port),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	f := &flood{frame: frame}
	s.flood = f
	if f.coll, err = ebpf.NewCollection(spec); err != nil {
		return fmt.Errorf("load the flood: %w", err)
	}
	for _, b := range s.live() {
		if err := f.sinkAt(b); err != nil {
			return err
		}
	}
	f.from, err = s.lab.Router.Index("front")
	return err
}

func (f *flood) sinkAt(b *lab.Backend) error {
	index, err := b.Index("eth0")
	if err != nil {
		return err
	}
	return b.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: f.coll.Programs["sink"], Interface: index, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("attach a sink at %s: %w", b.Name, err)
		}
		f.sinks = append(f.sinks, l)
		return nil
	})
}

func (f *flood) close() {
	for _, l := range f.sinks {
		l.Close()
	}
	if f.coll != nil {
		f.coll.Close()
	}
}

// datagram is the frame that the generator sends, to a backend or the VIP.
func (s *stage) datagram() ([]byte, error) {
	dst, err := s.lab.LB.MAC("eth0")
	if err != nil {
		return nil, err
	}
	src, err := s.lab.Router.MAC("front")
	if err != nil {
		return nil, err
	}
	f := make([]byte, headers+payload)
	be := binary.BigEndian
	copy(f, dst)
	copy(f[6:], src)
	be.PutUint16(f[12:], 0x0800)
	ip, udp := f[14:34], f[34:headers]
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	be.PutUint16(ip[2:], uint16(len(f)-14))
	copy(ip[12:], stranger.AsSlice())
	copy(ip[16:], s.to[0].Addr().AsSlice())
	be.PutUint16(ip[10:], checksum(ip))
	be.PutUint16(udp[2:], port)
	be.PutUint16(udp[4:], uint16(len(f)-34))
	return f, nil
}

// stranger is a client that is not there: nothing answers.
var stranger = netip.MustParseAddr("198.51.100.200")

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

// datagrams floods the balancer, and counts what arrives at the backends.
func (s *stage) datagrams(size load) (sample, error) {
	if err := s.flood.send(s, flows); err != nil { // the first of each flow pins, and finds neighbours
		return sample{}, err
	}
	if _, err := s.flood.arrived(); err != nil {
		return sample{}, err
	}
	before, err := s.flood.arrived()
	if err != nil {
		return sample{}, err
	}
	begin := s.now()
	if err := s.flood.send(s, size.datagrams); err != nil {
		return sample{}, err
	}
	wall := time.Since(begin.at)
	after, err := s.flood.arrived()
	if err != nil {
		return sample{}, err
	}
	if after == before {
		return sample{}, fmt.Errorf("none of %d datagrams arrived", size.datagrams)
	}
	taken := s.since(begin, int(after-before))
	taken.wall, taken.lost = wall, size.datagrams-taken.count
	return taken, nil
}

func (f *flood) send(s *stage, many int) error {
	context := [...]uint32{0, uint32(len(f.frame)), 0, uint32(f.from), 0, 0} // struct xdp_md
	return s.lab.Router.Do(func() error {
		_, err := f.coll.Programs["flood"].Run(&ebpf.RunOptions{
			Data: f.frame, Repeat: uint32(many), Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: inBatch, Context: context,
		})
		if err != nil {
			return fmt.Errorf("send %d datagrams: %w", many, err)
		}
		return nil
	})
}

// arrived waits until no more datagrams arrive, and says how many have.
func (f *flood) arrived() (count uint64, err error) {
	for last := ^uint64(0); count != last; {
		last = count
		time.Sleep(settled)
		if err := f.coll.Variables["received"].Get(&count); err != nil {
			return 0, fmt.Errorf("count what arrived: %w", err)
		}
	}
	return count, nil
}
