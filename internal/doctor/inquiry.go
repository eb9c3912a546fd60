package doctor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long answers are waited for: they come over a link or two.
const patience = time.Second

// inquiry asks the neighbours on one interface, by frames of its own: what the kernel's stack makes of the answers doesn't
// matter, and an answer from a VIP that this host holds too is one that it throws away.
type inquiry struct {
	way
	pairs []pair
}

type mac [6]byte

// heard is what they answered.
type heard struct {
	macs   map[netip.Addr]mac   // of backends
	claims map[netip.Addr][]mac // who answers ARP for a VIP
	holds  map[pair]bool        // who answers an echo request for a VIP
}

// ask asks all at once, and waits until all have said all that there is to say, or for its patience's end: that somebody
// does not answer for a VIP is known only then.
func (q *inquiry) ask(ctx context.Context) (heard, error) {
	h := heard{map[netip.Addr]mac{}, map[netip.Addr][]mac{}, map[pair]bool{}}
	fd, err := q.open()
	if err != nil {
		return h, err
	}
	defer unix.Close(fd)
	for _, a := range q.wanted() {
		if err := q.send(fd, broadcast, unix.ETH_P_ARP, q.arpRequest(a)); err != nil {
			return h, err
		}
	}
	frame := make([]byte, 2048)
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		n, from, err := unix.Recvfrom(fd, frame, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return h, fmt.Errorf("hear what neighbours answer: %w", err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if err := q.hear(fd, &h, frame[:n]); err != nil {
			return h, err
		}
	}
	return h, nil
}

// open gives a socket of the interface, whose reads end after a tenth of the patience.
func (q *inquiry) open() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(swap(unix.ETH_P_ALL)))
	if err != nil {
		return 0, fmt.Errorf("open a socket for frames: %w", err)
	}
	wait := unix.NsecToTimeval(int64(patience / 10))
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: q.iface.Attrs().Index})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("listen on %s: %w", q.iface.Attrs().Name, err), unix.Close(fd))
	}
	return fd, nil
}

// wanted are the addresses to ask for: backends, and VIPs.
func (q *inquiry) wanted() []netip.Addr {
	var all []netip.Addr
	for _, p := range q.pairs {
		for _, a := range []netip.Addr{p.backend, p.vip} {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

// hear takes one frame. A backend whose MAC has become known is asked for its VIPs.
func (q *inquiry) hear(fd int, h *heard, frame []byte) error {
	if len(frame) < 14 {
		return nil
	}
	switch body := frame[14:]; binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		who, from, ok := arpReply(body)
		if !ok {
			return nil
		}
		for _, p := range q.pairs {
			_, known := h.macs[p.backend]
			switch {
			case who == p.vip && !slices.Contains(h.claims[who], from):
				h.claims[who] = append(h.claims[who], from)
			case who == p.backend && !known:
				h.macs[who] = from
				return q.askForVIPs(fd, who, from)
			}
		}
	case unix.ETH_P_IP:
		if vip, number, ok := echoReply(body); ok && number < len(q.pairs) && q.pairs[number].vip == vip {
			h.holds[q.pairs[number]] = true
		}
	}
	return nil
}

func (q *inquiry) askForVIPs(fd int, backend netip.Addr, to mac) error {
	for i, p := range q.pairs {
		if p.backend != backend {
			continue
		}
		if err := q.send(fd, to, unix.ETH_P_IP, echoRequest(q.from, p.vip, i)); err != nil {
			return err
		}
	}
	return nil
}

var broadcast = mac(bytes.Repeat([]byte{0xff}, 6))

func (q *inquiry) send(fd int, to mac, proto uint16, body []byte) error {
	frame := slices.Concat(to[:], q.iface.Attrs().HardwareAddr, binary.BigEndian.AppendUint16(nil, proto), body)
	addr := unix.SockaddrLinklayer{Ifindex: q.iface.Attrs().Index, Halen: 6, Protocol: swap(proto)}
	copy(addr.Addr[:], to[:])
	if err := unix.Sendto(fd, frame, 0, &addr); err != nil {
		return fmt.Errorf("ask on %s: %w", q.iface.Attrs().Name, err)
	}
	return nil
}

// swap is htons.
func swap(v uint16) uint16 { return v<<8 | v>>8 }
