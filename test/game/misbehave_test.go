package game

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

// liar answers like a server, but for one request lets a lie decide what is
// sent instead.
type liar struct {
	at  uint64
	lie func(honest frame) []frame
}

// answers are the bytes that answer one request.
func (l liar) answers(s *Server, v *visit, request []byte) []byte {
	f, err := parseFrame(request)
	if err != nil {
		return nil
	}
	honest, _ := s.answer(v, f)
	all := []frame{honest}
	if f.seq == l.at {
		all = l.lie(honest)
	}
	var out []byte
	for _, a := range all {
		out = a.appendTo(out)
	}
	return out
}

// mustLie serves one session of each network with lies.
func mustLie(tb testing.TB, b *lab.Backend, l liar) []Endpoint {
	tb.Helper()
	s := NewServer(b.Name, b.Colour, &AcceptLog{})
	ln, err := b.Listen("tcp", netip.AddrPortFrom(b.V4, port))
	if err != nil {
		tb.Fatal(err)
	}
	pc, err := b.ListenPacket("udp", netip.AddrPortFrom(b.V6, port))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ln.Close()
		pc.Close()
	})
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var v visit
		for buf := make([]byte, frameSize); ; {
			if _, err := io.ReadFull(conn, buf); err != nil {
				return
			}
			conn.Write(l.answers(s, &v, buf))
		}
	}()
	go func() {
		var v visit
		for buf := make([]byte, frameSize); ; {
			n, from, err := pc.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for out := l.answers(s, &v, buf[:n]); len(out) > 0; out = out[frameSize:] {
				pc.WriteToUDPAddrPort(out[:frameSize], from)
			}
		}
	}()
	return []Endpoint{TCP(b.V4, port), UDP(b.V6, port)}
}

func TestPlayersNoticeALyingServer(t *testing.T) {
	l := lab.Must(t, lab.Options{Forwarding: lab.NAT, Backends: []string{"blue1"}})
	tests := []struct {
		name string
		lie  func(frame) []frame
		want string
	}{
		{"foreign", func(f frame) []frame { f.backend = "green1"; return []frame{f} }, "foreign answer"},
		{"gap", func(frame) []frame { return nil }, "gap: answer 4 after 2"},
		{"repeat", func(f frame) []frame { return []frame{f, f} }, "repeated answer: 3 after 3"},
		{"another session's", func(f frame) []frame { f.session++; return []frame{f} }, "foreign answer: of another session"},
		{"amnesia", func(f frame) []frame { f.count = 1; return []frame{f} }, "counts 1 at request 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, e := range mustLie(t, l.Backends[0], liar{3, tt.lie}) {
				p := Start(context.Background(), l.Client, 0, Role{Endpoints: []Endpoint{e}, ChatTick: time.Millisecond, StateTick: inOrder})
				r := p.sessions[0].Wait(func(r Report) bool { return len(r.Broken) > 0 })
				if broken := r.Broken; len(broken) == 0 || !strings.Contains(broken[0], tt.want) {
					t.Errorf("%s: broken %q, want %q", e.Network, broken, tt.want)
				}
				p.Reset()
			}
		})
	}
}

// Whoever waits for an exchange does not wait for ever: not for a login that
// nobody answered, not for a session that is silent, and not for one that has
// more faults than it tells.
func TestAnExchangeEndsWithoutAnswers(t *testing.T) {
	l := lab.Must(t, lab.Options{Forwarding: lab.NAT, Backends: []string{"blue1"}})
	for _, e := range mustLie(t, l.Backends[0], liar{1, func(frame) []frame { return nil }}) {
		p := Start(context.Background(), l.Client, 0, Role{Endpoints: []Endpoint{e}, Patience: 10 * time.Millisecond})
		p.Exchange(1)
		if broken := p.Broken(); len(broken) != 1 || !strings.Contains(broken[0], "no answer") {
			t.Errorf("%s: broken %q, want silence", e.Network, broken)
		}
		p.Reset()
	}
	silent := newSession("udp", nil)
	silent.played, silent.judge.silent = make(chan struct{}), true
	silent.Exchange(1)
	bad := newSession("udp", nil)
	bad.played = make(chan struct{})
	for range maxReasons {
		bad.breaks("again")
	}
	waited := make(chan struct{})
	go func() { defer close(waited); bad.Exchange(1) }()
	for ended := false; !ended; {
		bad.breaks("again") // until the one that waits has seen one since it began to
		select {
		case <-waited:
			ended = true
		default:
		}
	}
}

func TestSilenceBreaksTheSession(t *testing.T) {
	l := lab.Must(t, lab.Options{Forwarding: lab.NAT, Backends: []string{"blue1"}})
	mute := liar{2, func(frame) []frame { return nil }}
	for _, e := range mustLie(t, l.Backends[0], mute) {
		s, err := Open(context.Background(), l.Client, netip.AddrPort{}, e)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ask(); err != nil {
			t.Fatal(err)
		}
		s.Patience = time.Millisecond
		if err := s.Ask(); err == nil {
			t.Error("a mute server answered")
		}
		if broken := s.Report().Broken; len(broken) != 1 || !strings.Contains(broken[0], "no answer") {
			t.Errorf("%s: broken %q, want silence", e.Network, broken)
		}
		s.Reset()
	}
}
