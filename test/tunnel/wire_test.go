package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/test/lab"
)

// flow is what the packet in the outer header belongs to.
type flow struct {
	proto    byte
	from, to netip.AddrPort
}

// outer is what an outer header says, and the backend and the link that it came to.
type outer struct {
	backend, link string
	source        netip.Addr
}

// ears hear what comes to the backends, by their links.
type ears struct {
	files   []*os.File
	hearing sync.WaitGroup

	mu    sync.Mutex
	heard map[flow]map[outer]bool
}

// listen opens every link of every backend. What a link hears had its tags, and no other.
func (s *stage) listen(t *testing.T) *ears {
	t.Helper()
	e := &ears{heard: map[flow]map[outer]bool{}}
	t.Cleanup(e.stop)
	for _, b := range s.lab.Backends {
		names := []string{"eth0"}
		if tags := backendTags[b.Name]; tags != nil {
			names = append(names, lab.TaggedLink("eth0", tags))
		}
		for _, name := range names {
			index, err := b.Index(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, proto := range []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6} {
				f, err := open(b.NS, index, proto)
				if err != nil {
					t.Fatal(err)
				}
				e.files = append(e.files, f)
				e.hearing.Go(func() { e.hear(f, index, outer{backend: b.Name, link: name}) })
			}
		}
	}
	return e
}

// open hears packets of one network protocol, from their IP header on. The kernel hands them over when it has taken their
// tags off.
func open(ns *lab.NS, index int, proto uint16) (*os.File, error) {
	var fd int
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		wire := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, proto))
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: wire, Ifindex: index})
	})
	if err != nil {
		return nil, fmt.Errorf("listen to packets in %s: %w", ns.Name, err)
	}
	return os.NewFile(uintptr(fd), "packet"), nil
}

func (e *ears) hear(f *os.File, index int, at outer) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 1<<16)
	for {
		n, link, err := receive(conn, buf)
		if err != nil {
			return
		}
		in, source, ok := parse(buf[:n])
		if !ok || link != index { // a link hears of those on top of it, too
			continue
		}
		e.mu.Lock()
		if e.heard[in] == nil {
			e.heard[in] = map[outer]bool{}
		}
		at.source = source
		e.heard[in][at] = true
		e.mu.Unlock()
	}
}

// receive gives a packet and the index of the link that it was for.
func receive(conn syscall.RawConn, buf []byte) (n, link int, err error) {
	closed := conn.Read(func(fd uintptr) bool {
		var from unix.Sockaddr
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		if ll, ok := from.(*unix.SockaddrLinklayer); ok {
			link = ll.Ifindex
		}
		return !errors.Is(err, unix.EAGAIN)
	})
	return n, link, errors.Join(closed, err)
}

func (e *ears) stop() {
	for _, f := range e.files {
		f.Close()
	}
	e.files = nil
	e.hearing.Wait()
}

// parse takes the outer header off, and reads the ports of the first packet of a datagram.
func parse(b []byte) (in flow, source netip.Addr, ok bool) {
	proto, source, _, b, ok := network(b)
	if !ok || proto != unix.IPPROTO_IPIP && proto != unix.IPPROTO_IPV6 {
		return in, source, false
	}
	inner, from, to, b, ok := network(b)
	if !ok || len(b) < 4 || inner != unix.IPPROTO_TCP && inner != unix.IPPROTO_UDP {
		return in, source, false
	}
	in = flow{inner, netip.AddrPortFrom(from, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:]))}
	return in, source, true
}

// network reads an IP header. What is not the first of its datagram is not read.
func network(b []byte) (proto byte, from, to netip.Addr, rest []byte, ok bool) {
	switch {
	case len(b) >= 20 && b[0] == 0x45 && binary.BigEndian.Uint16(b[6:])&0x1fff == 0:
		return b[9], netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[20:], true
	case len(b) >= 40 && b[0]>>4 == 6:
		return b[6], netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[40:], true
	}
	return 0, netip.Addr{}, netip.Addr{}, nil, false
}

// check: each flow had one backend and one outer source, of the operator's prefix, and others had others; the tags were
// those of the way to that backend, whatever they had been before; and each family travelled in each that it may.
func (e *ears) check(t *testing.T) {
	t.Helper()
	e.stop()
	sources, ways, tags := map[netip.Addr]bool{}, map[string]bool{}, map[string]bool{}
	for in, outers := range e.heard {
		if len(outers) != 1 {
			t.Errorf("%v came in %d ways: %v", in, len(outers), outers)
		}
		for o := range outers {
			if link := lab.TaggedLink("eth0", backendTags[o.backend]); o.link != link {
				t.Errorf("%v came to %s by %s, want %s", in, o.backend, o.link, link)
			}
			if !slices.ContainsFunc(outerSource, func(p netip.Prefix) bool { return p.Contains(o.source) }) {
				t.Errorf("%v came from %v, want one of %v", in, o.source, outerSource)
			}
			sources[o.source] = true
			ways[family(in.to.Addr())+" in "+family(o.source)] = true
			tags[linkOf(in.to.Addr())+" to "+o.link] = true
		}
	}
	if len(sources) < len(e.heard)*9/10 {
		t.Errorf("%d flows had %d outer sources", len(e.heard), len(sources))
	}
	if len(ways) != 3 {
		t.Errorf("%v; want IPv4 in IPv4, IPv6 in IPv6 and IPv4 in IPv6", ways)
	}
	if want := len(links) * (1 + len(backendTags)); len(tags) != want {
		t.Errorf("tags became others in %d ways: %v; want %d", len(tags), tags, want)
	}
}

func linkOf(vip netip.Addr) string {
	for _, l := range links {
		if slices.Contains(l.vips, vip) {
			return l.name
		}
	}
	return ""
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
