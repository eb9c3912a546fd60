package game

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// kind says what a frame is about.
type kind uint8

const (
	login kind = iota + 1
	play       // chat over TCP, state over UDP
	bye        // from a player: logs out; from a server, unasked: kicks
)

// frameSize is the length of every request and answer.
const frameSize = 64

// magic begins every frame.
const magic = "tide"

// frame is a request or an answer; requests leave count and names empty.
type frame struct {
	kind    kind
	session uint64 // chosen by the player
	seq     uint64 // the player's number of the request, from 1
	count   uint64 // the server's count of the session's requests
	colour  string
	backend string
}

// appendTo appends the frame's bytes. Names are cut to their fields.
func (f frame) appendTo(b []byte) []byte {
	var out [frameSize]byte
	copy(out[:], magic)
	out[4] = byte(f.kind)
	binary.BigEndian.PutUint64(out[8:], f.session)
	binary.BigEndian.PutUint64(out[16:], f.seq)
	binary.BigEndian.PutUint64(out[24:], f.count)
	copy(out[32:40], f.colour)
	copy(out[40:64], f.backend)
	return append(b, out[:]...)
}

// parseFrame reads a frame of exactly the right size.
func parseFrame(b []byte) (frame, error) {
	if len(b) != frameSize || string(b[:4]) != magic {
		return frame{}, fmt.Errorf("not a frame: %d bytes %.16q", len(b), b)
	}
	return frame{
		kind:    kind(b[4]),
		session: binary.BigEndian.Uint64(b[8:]),
		seq:     binary.BigEndian.Uint64(b[16:]),
		count:   binary.BigEndian.Uint64(b[24:]),
		colour:  text(b[32:40]),
		backend: text(b[40:64]),
	}, nil
}

// text is a field without its padding.
func text(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }
