package main

import (
	"encoding/binary"
	"io"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Interfaces of a capture.
const (
	captureIn = iota
	captureOut
)

// Numbers of the pcapng format (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	byteOrderMagic = 0x1a2b3c4d
	linkEthernet   = 1
	optEnd         = 0
	optComment     = 1
	optName        = 2
	optResolution  = 9
	nanoseconds    = 9 // a power of ten
)

// capture writes frames to a pcapng file: as they came in on one interface of it, as they were sent on another.
type capture struct{ to io.Writer }

func newCapture(to io.Writer) (*capture, error) {
	c := &capture{to}
	section := words(byteOrderMagic, 1 /* version 1.0 */, 0xffffffff, 0xffffffff /* of no known length */)
	if err := c.block(blockSection, section); err != nil {
		return nil, err
	}
	for _, name := range []string{"in", "out"} {
		body := append(words(linkEthernet, 0), option(optName, []byte(name))...)
		body = append(append(body, option(optResolution, []byte{nanoseconds})...), option(optEnd, nil)...)
		if err := c.block(blockInterface, body); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// packet writes what came in, with the decision as its comment, and what was sent.
func (c *capture) packet(p api.TracedPacket) error {
	if err := c.frame(captureIn, p, p.In, p.Bytes, decision(p)); err != nil || p.Out == nil {
		return err
	}
	return c.frame(captureOut, p, p.Out, p.OutBytes, "")
}

func (c *capture) frame(iface uint32, p api.TracedPacket, b []byte, length uint32, comment string) error {
	at := uint64(p.Time.UnixNano())
	body := words(iface, uint32(at>>32), uint32(at), uint32(len(b)), length)
	body = append(body, padded(b)...)
	if comment != "" {
		body = append(append(body, option(optComment, []byte(comment))...), option(optEnd, nil)...)
	}
	return c.block(blockPacket, body)
}

// block has its length before and behind.
func (c *capture) block(kind uint32, body []byte) error {
	length := uint32(len(body) + 12)
	_, err := c.to.Write(append(append(words(kind, length), body...), words(length)...))
	return err
}

func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func option(code uint16, value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, padded(value)...)
}

// padded to whole words.
func padded(b []byte) []byte {
	return append(b[:len(b):len(b)], make([]byte, -len(b)&3)...)
}
