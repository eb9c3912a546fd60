package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ebbtide/ebbtide/internal/api"
)

// readCapture reads the frames of a pcap or pcapng file. What the capture cut off a frame is filled up with zeros: the
// program looks at headers and lengths only.
func readCapture(name string) ([][]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, api.MaxReplayBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > api.MaxReplayBytes {
		return nil, fmt.Errorf("%s has more than %d MiB: take fewer packets", name, api.MaxReplayBytes>>20)
	}
	frames, err := framesOf(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return frames, nil
}

// packetReader is what the two formats' readers have in common.
type packetReader interface {
	gopacket.PacketDataSource
	LinkType() layers.LinkType
}

func framesOf(data []byte) (frames [][]byte, err error) {
	var r packetReader
	if bytes.HasPrefix(data, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err = pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("this is no capture: %w", err)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("its frames are of %v, want Ethernet: capture on one interface, not on any", r.LinkType())
	}
	for {
		frame, info, err := r.ReadPacketData()
		switch {
		case errors.Is(err, io.EOF):
			return frames, nil
		case err != nil:
			return nil, fmt.Errorf("packet %d: %w", len(frames)+1, err)
		case len(frames) == api.MaxReplayFrames:
			return nil, fmt.Errorf("it has more than %d packets: take fewer", api.MaxReplayFrames)
		case info.Length > 1<<16:
			return nil, fmt.Errorf("packet %d: it says that it has %d bytes", len(frames)+1, info.Length)
		}
		frames = append(frames, append(frame, make([]byte, max(0, info.Length-len(frame)))...))
	}
}
