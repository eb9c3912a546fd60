package health

import (
	"bufio"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/plain"
)

// babbler answers whatever is asked with the same bytes, and closes.
func babbler(f *testing.F) (port uint16, say func([]byte)) {
	f.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { ln.Close() })
	var answer atomic.Pointer[[]byte]
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				bufio.NewReader(conn).ReadString('\n')
				conn.Write(*answer.Load())
			}()
		}
	}()
	return portOf(ln.Addr()), func(b []byte) { answer.Store(&b) }
}

// FuzzAnswers has a backend that answers checks with anything: the check ends, and what it says of it can be shown.
func FuzzAnswers(f *testing.F) {
	for _, text := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", "HTTP/1.1 \x1b[2J\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "HTTP/1.1 503 " + strings.Repeat("x", 100_000) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 200_000) + "\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
		"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x03\x01\x04\x00\x00\x00\x01\x88\xbe\x84",
	} {
		f.Add([]byte(text))
	}
	port, say := babbler(f)
	f.Fuzz(func(t *testing.T, answer []byte) {
		say(answer)
		for _, h := range []config.Health{{HTTP: &config.HTTPCheck{Port: port, Path: "/"}}, {GRPC: &config.GRPCCheck{Port: port}}, {TCP: port}} {
			err := Check(t.Context(), within(h, 10*time.Second), loopback)
			if err != nil && plain.Text(err.Error()) != err.Error() {
				t.Errorf("an error that can't be shown: %q", err)
			}
			if err == nil && h.GRPC != nil {
				t.Errorf("%q is a backend that serves", answer)
			}
		}
	})
}

// FuzzDatagrams is the same for UDP.
func FuzzDatagrams(f *testing.F) {
	for _, text := range []string{"", "pong", "pon", "\x1b[2J", strings.Repeat("x", 60_000)} {
		f.Add([]byte(text))
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	var answer atomic.Pointer[[]byte]
	go func() {
		for buf := make([]byte, 64); ; {
			_, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(*answer.Load(), from)
		}
	}()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 60_000 {
			t.Skip("no datagram")
		}
		answer.Store(&text)
		h := config.Health{UDP: &config.UDPCheck{Port: portOf(conn.LocalAddr()), Send: "ping", Expect: "pong"}}
		err := Check(t.Context(), within(h, 10*time.Second), loopback)
		if well := strings.HasPrefix(string(text), "pong"); well != (err == nil) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && plain.Text(err.Error()) != err.Error() {
			t.Errorf("an error that can't be shown: %q", err)
		}
	})
}
