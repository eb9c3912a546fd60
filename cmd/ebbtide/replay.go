package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// replay is explain for the packets of a capture.
func (c *cli) replay(ctx context.Context, f format, capture string, ifFlipped bool) error {
	frames, err := readCapture(capture)
	if err != nil {
		return fmt.Errorf("explain --pcap: %w", err)
	}
	res, err := c.client().Replay(ctx, api.ReplayRequest{Frames: frames, IfFlipped: ifFlipped})
	if err == nil {
		err = c.show(f, res, func(w io.Writer) { printReplay(w, res) })
	}
	if err != nil {
		return fmt.Errorf("explain --pcap %s: %w", capture, err)
	}
	return nil
}

func printReplay(w io.Writer, r api.Replay) {
	fmt.Fprintf(w, "program %s, the one on the interfaces; %d packets on copies of its maps\n", r.Tag, len(r.Packets))
	if len(r.Packets) == 0 {
		return
	}
	fmt.Fprintln(w, "PACKET\tPROTOCOL\tFROM\tTO\tVERDICT\tIN\tOUT\tBACKEND\tGENERATION\tCOUNTED")
	for i, p := range r.Packets {
		generation, out := "", ""
		if p.Generation != nil {
			generation = fmt.Sprint(p.Generation.Number, " ", orDash(p.Generation.Colour))
		}
		if p.Out != 0 {
			out = fmt.Sprint(p.Out)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", i+1, orDash(p.Protocol), orDash(p.From), orDash(p.To), p.Verdict,
			p.In, orDash(out), orDash(p.Backend), orDash(generation), orDash(strings.Join(p.Reasons, " ")))
	}
}
