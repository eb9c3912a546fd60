package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// captureOf is a pcap file of frames, of each of which no more than so many bytes were captured.
func captureOf(t testing.TB, link layers.LinkType, most int, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(uint32(most), link); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		info := gopacket.CaptureInfo{Timestamp: noon, Length: len(f), CaptureLength: min(most, len(f))}
		if err := w.WritePacket(info, f[:info.CaptureLength]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// ngCaptureOf is the same in pcapng.
func ngCaptureOf(t testing.TB, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: noon.Add(time.Second), Length: len(f), CaptureLength: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFramesComeOutOfACaptureAsTheyWent(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 60), bytes.Repeat([]byte{2}, 1514)
	cut := append(bytes.Repeat([]byte{2}, 96), make([]byte, 1514-96)...)
	for _, row := range []struct {
		name string
		data []byte
		want [][]byte
	}{
		{"pcap", captureOf(t, layers.LinkTypeEthernet, 65536, one, two), [][]byte{one, two}},
		{"pcap, cut off", captureOf(t, layers.LinkTypeEthernet, 96, one, two), [][]byte{one, cut}},
		{"pcapng", ngCaptureOf(t, one, two), [][]byte{one, two}},
		{"pcap without a packet", captureOf(t, layers.LinkTypeEthernet, 96), nil},
	} {
		got, err := framesOf(row.data)
		if err != nil || !slices.EqualFunc(got, row.want, bytes.Equal) {
			t.Errorf("%s: %d frames, %v", row.name, len(got), err)
		}
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("this is no capture, it is a sentence"),
		"of any interface": captureOf(t, layers.LinkTypeLinuxSLL, 96, one),
		"cut in a packet":  captureOf(t, layers.LinkTypeEthernet, 65536, one)[:60],
		"too many":         captureOf(t, layers.LinkTypeEthernet, 60, slices.Repeat([][]byte{one}, api.MaxReplayFrames+1)...),
	} {
		if frames, err := framesOf(data); err == nil {
			t.Errorf("%s: %d frames and no error", name, len(frames))
		}
	}
}

func FuzzCapture(f *testing.F) {
	one := bytes.Repeat([]byte{1}, 60)
	f.Add(captureOf(f, layers.LinkTypeEthernet, 65536, one))
	f.Add(ngCaptureOf(f, one))
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, err := framesOf(data)
		if err == nil && len(frames) > api.MaxReplayFrames {
			t.Errorf("%d frames", len(frames))
		}
	})
}

func TestExplainACapture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "capture.pcap")
	frame := bytes.Repeat([]byte{1}, 60)
	if err := os.WriteFile(file, captureOf(t, layers.LinkTypeEthernet, 65536, frame), 0o600); err != nil {
		t.Fatal(err)
	}
	replayed := api.Replay{Tag: "3b185187f1855c4c", Packets: []api.Replayed{
		{Protocol: "tcp", From: "198.51.100.7:40000", To: "203.0.113.10:7777", Verdict: api.VerdictForward, Service: "world", Generation: &blue3, Backend: "10.0.0.11", In: 74, Out: 74},
		{Protocol: "udp", From: "127.0.0.1:40000", To: "203.0.113.10:7777", Verdict: api.VerdictDrop, Service: "world", Reasons: []string{"drop_martian"}, In: 60},
		{Verdict: api.VerdictPass, Reasons: []string{"pass_not_ip"}, In: 42},
	}}
	var got api.ReplayRequest
	daemon := &apitest.Fake{OnReplay: func(_ context.Context, req api.ReplayRequest) (api.Replay, error) {
		got = req
		return replayed, nil
	}}
	socket, _ := apitest.Serve(t, daemon)
	for name, args := range map[string]string{"capture.txt": "explain --pcap ", "capture-as-json.txt": "explain -o json --if-flipped --pcap "} {
		out, code := invoke(t, socket, nil, strings.Fields(args+file)...)
		if code != exitDone {
			t.Error(out)
		}
		mustMatch(t, filepath.Join("testdata", "explain", name), strings.ReplaceAll(out, file, "FILE"))
		if got.IfFlipped != strings.Contains(args, "flipped") || len(got.Frames) != 1 || !bytes.Equal(got.Frames[0], frame) {
			t.Errorf("asked for %+v", got)
		}
	}
	check(t, "explain", []row{
		{name: "capture and client", args: "explain 198.51.100.7 --pcap none", daemon: daemon, code: exitUsage},
		{name: "capture that is none", args: "explain --pcap testdata/sound.yaml", daemon: daemon, code: exitFailed},
	})
}
