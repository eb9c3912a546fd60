package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// tracing is a daemon that traces these packets, and then says why it ended unless it is cut off.
func tracing(end *api.TraceEnd, packets ...api.TracedPacket) *apitest.Fake {
	return &apitest.Fake{OnTrace: func(_ context.Context, _ api.TraceRequest, yield func(api.Traced) error) error {
		if err := yield(api.Traced{Begun: &api.TraceBegun{Interfaces: []string{"eth0", "eth1"}}}); err != nil {
			return err
		}
		for _, p := range packets {
			if err := yield(api.Traced{Packet: &p}); err != nil {
				return err
			}
		}
		if end == nil {
			return nil
		}
		return yield(api.Traced{End: end})
	}}
}

var tracedPackets = []api.TracedPacket{
	{
		Time: noon, Interface: "eth0", Protocol: "tcp", Source: "198.51.100.7:40000", Destination: "203.0.113.10:7777", Bytes: 54,
		Verdict: "tx", Reasons: []string{}, Service: "world", Generation: blue3, Backend: "10.0.0.11", OutInterface: "eth0",
		OutMAC: "02:00:00:0b:00:0b", OutBytes: 54, In: []byte("came in, 13 B"), Out: []byte("went out"),
	},
	{
		Time: noon.Add(1500 * time.Microsecond), Interface: "eth0", CPU: 1, Protocol: "udp", Source: "[2001:db8::7]:40000",
		Destination: "[2001:db8::10]:7777", Bytes: 90, Verdict: "drop", Reasons: []string{"drop_unresolved"}, Service: "world",
		Generation: green4, Backend: "fd00::11", State: "established", In: []byte("dropped"),
	},
	{
		Time: noon.Add(time.Second), Interface: "eth1", Protocol: "icmp", Source: "198.51.100.7", Destination: "203.0.113.99",
		Bytes: 98, Verdict: "pass", Reasons: []string{"pass_not_ours"}, In: []byte("passed"),
	},
}

func TestTrace(t *testing.T) {
	quiet := &api.TraceEnd{Reason: "the time is over", Shown: 3, Matched: 3}
	busy := &api.TraceEnd{Reason: "so many packets were asked for", Shown: 3, Matched: 90, SampledOut: 40, OverRate: 30, Lost: 12, Others: 5}
	check(t, "trace", []row{
		{name: "every verdict", args: "trace 198.51.100.7", daemon: tracing(quiet, tracedPackets...)},
		{name: "left out", args: "trace 198.51.100.7 --count 3", daemon: tracing(busy, tracedPackets...)},
		{name: "as json", args: "trace 198.51.100.7 -o json", daemon: tracing(quiet, tracedPackets[:2]...)},
		{name: "cut off", args: "trace 198.51.100.7", daemon: tracing(nil, tracedPackets[0]), code: exitFailed},
		{name: "another one runs", args: "trace 198.51.100.7", daemon: failing(api.Errorf(api.Refused, "another trace runs: one does at a time")), code: exitRefused},
		{name: "no client", args: "trace", code: exitUsage},
		{name: "client that is none", args: "trace player.example", daemon: tracing(quiet), code: exitUsage},
		{name: "too long", args: "trace 198.51.100.7 --for 1h", daemon: tracing(quiet), code: exitUsage},
		{name: "no rate", args: "trace 198.51.100.7 --rate 0", daemon: tracing(quiet), code: exitUsage},
		{name: "sample that is none", args: "trace 198.51.100.7 --sample 0.5", daemon: tracing(quiet), code: exitUsage},
	})
}

func TestTraceAsksForWhatItsFlagsSay(t *testing.T) {
	var got api.TraceRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnTrace: func(_ context.Context, req api.TraceRequest, yield func(api.Traced) error) error {
		got = req
		return yield(api.Traced{End: &api.TraceEnd{}})
	}})
	file := filepath.Join(t.TempDir(), "f")
	for args, want := range map[string]api.TraceRequest{
		"trace 192.0.2.7": {Client: "192.0.2.7", Seconds: 10, Sample: 1, Rate: 1000},
		"trace 192.0.2.0/24 --service world --count 7 --for 90s --sample 1/50 --rate 20 --pcap-out " + file: {
			Client: "192.0.2.0/24", Service: "world", Count: 7, Seconds: 90, Sample: 50, Rate: 20, Frames: true},
	} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone || got != want {
			t.Errorf("%s asked for %+v:\n%s", args, got, out)
		}
	}
}

func TestAnInterruptedTraceIsOverAndStopsTheDaemon(t *testing.T) {
	stopped := make(chan error, 1)
	socket, _ := apitest.Serve(t, &apitest.Fake{OnTrace: func(ctx context.Context, _ api.TraceRequest, yield func(api.Traced) error) error {
		err := yield(api.Traced{Packet: &tracedPackets[0]})
		<-ctx.Done()
		stopped <- ctx.Err()
		return err
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var stderr strings.Builder
	stdout := writerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})
	e := env{stdout: stdout, stderr: &stderr, getenv: only(socketEnv, socket), now: time.Now}
	if code := run(ctx, e, []string{"trace", "192.0.2.7"}); code != exitDone || stderr.String() != "" {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestACaptureThatFindsNoRoomIsSaid(t *testing.T) {
	socket, _ := apitest.Serve(t, tracing(&api.TraceEnd{}, tracedPackets...))
	if out, code := invoke(t, socket, nil, "trace", "198.51.100.7", "--pcap-out", "/dev/full"); code != exitFailed || !strings.Contains(out, "write /dev/full: no space left") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// captured is a packet as the file has it.
type captured struct {
	iface   uint32
	at      time.Time
	length  uint32
	data    string
	comment string
}

func TestACaptureHasWhatCameInAndWhatWasSent(t *testing.T) {
	socket, _ := apitest.Serve(t, tracing(&api.TraceEnd{}, tracedPackets...))
	file := filepath.Join(t.TempDir(), "out.pcapng")
	if out, code := invoke(t, socket, nil, "trace", "198.51.100.7", "-o", "json", "--pcap-out", file); code != exitDone || strings.Contains(out, `"in"`) {
		t.Fatalf("exit code %d, or frames in\n%s", code, out)
	}
	interfaces, packets := mustReadCapture(t, file)
	if want := []string{"in", "out"}; !reflect.DeepEqual(interfaces, want) {
		t.Errorf("interfaces %q, want %q", interfaces, want)
	}
	first := tracedPackets[0]
	want := []captured{{captureIn, first.Time, 54, "came in, 13 B", decision(first)}, {captureOut, first.Time, 54, "went out", ""}}
	for _, p := range tracedPackets[1:] {
		want = append(want, captured{captureIn, p.Time, p.Bytes, string(p.In), decision(p)})
	}
	if !reflect.DeepEqual(packets, want) {
		t.Errorf("packets\n%+v\nwant\n%+v", packets, want)
	}
}

// mustReadCapture reads a pcapng file by the format's rules: blocks with their length at both ends.
func mustReadCapture(t *testing.T, file string) (interfaces []string, packets []captured) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for len(data) > 0 {
		length := int(le.Uint32(data[4:]))
		body := data[8 : length-4]
		if length%4 != 0 || int(le.Uint32(data[length-4:])) != length {
			t.Fatalf("a block of %d bytes ends with %d", length, le.Uint32(data[length-4:]))
		}
		switch le.Uint32(data) {
		case blockInterface:
			interfaces = append(interfaces, options(t, body[8:])[optName])
		case blockPacket:
			captured := captured{
				iface: le.Uint32(body), at: time.Unix(0, int64(uint64(le.Uint32(body[4:]))<<32|uint64(le.Uint32(body[8:])))).UTC(),
				length: le.Uint32(body[16:]), data: string(body[20 : 20+le.Uint32(body[12:])]),
			}
			captured.comment = options(t, body[20+(le.Uint32(body[12:])+3)&^3:])[optComment]
			packets = append(packets, captured)
		}
		data = data[length:]
	}
	return interfaces, packets
}

func options(t *testing.T, b []byte) map[uint16]string {
	t.Helper()
	out := map[uint16]string{}
	for len(b) > 0 {
		code, length := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if code == optEnd {
			return out
		}
		out[code] = string(bytes.TrimRight(b[4:4+length], "\x00"))
		b = b[4+(length+3)&^3:]
	}
	return out
}
