package game

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultPatience is how long a session waits for any answer before it takes
// the silence for a gap.
const DefaultPatience = 10 * time.Second

// Session is one flow of a player, judged. Ask steps it by hand, Play lets it
// run; it ends once, by Logout, Reset or Crash. Report may be called at any
// time, as may Wait, the others by one goroutine.
type Session struct {
	// Patience may be set before the first request.
	Patience time.Duration

	network  string
	conn     net.Conn
	client   netip.AddrPort
	openedAt time.Time
	buf      [2 * frameSize]byte
	have     int

	stop   atomic.Bool
	played chan struct{} // closed when the loop of Play has ended
	over   atomic.Bool   // ended, by whichever side
	overAt time.Time     // set, under mu, before over is

	mu      sync.Mutex
	changed sync.Cond // of mu: something was heard, noticed or ended
	judge   judge
}

// errKicked ends a session that the server ended.
var errKicked = errors.New("kicked")

// Open connects, without logging in: a UDP session has sent nothing yet. An
// invalid from leaves the choice to the kernel.
func Open(ctx context.Context, host Dialer, from netip.AddrPort, to Endpoint) (*Session, error) {
	openedAt := time.Now()
	conn, err := host.DialFrom(ctx, to.Network, from, to.Addr)
	if err != nil {
		return nil, err
	}
	s := newSession(to.Network, conn)
	s.client, s.openedAt = addrPort(conn.LocalAddr()), openedAt
	return s, nil
}

func newSession(network string, conn net.Conn) *Session {
	s := &Session{Patience: DefaultPatience, network: network, conn: conn}
	s.changed.L = &s.mu
	s.judge.session = rand.Uint64()
	return s
}

// Ask sends the next request, the first of which logs in, and waits for its
// answer. It returns an error when the session has ended or is silent for
// longer than its patience; what it noticed otherwise is in the report.
func (s *Session) Ask() error {
	k := play
	if s.judge.sent == 0 {
		k = login
	}
	if err := s.send(k); err != nil {
		return err
	}
	return s.await()
}

// send sends the next request.
func (s *Session) send(k kind) error {
	if s.over.Load() {
		return net.ErrClosed
	}
	s.mu.Lock()
	f := s.judge.next(k)
	if f.seq == s.judge.answered+1 {
		s.judge.heard = time.Now() // patience begins with the first open question
	}
	if f.seq == 1 && s.network == "udp" {
		s.openedAt = time.Now()
	}
	s.mu.Unlock()
	if _, err := s.conn.Write(f.appendTo(nil)); err != nil {
		return s.cut(err)
	}
	return nil
}

// await reads until every request is answered.
func (s *Session) await() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.Patience)); err != nil {
		return err
	}
	for s.judge.answered < s.judge.sent {
		if err := s.receive(); err != nil {
			s.silence()
			return err
		}
	}
	return nil
}

// receive reads one answer and judges it. A deadline that passed is returned
// as it is; any other error has ended the session.
func (s *Session) receive() error {
	f, err := s.read()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil:
		return s.cut(err)
	case f.kind == bye && f.seq == 0:
		return s.kicked()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	s.judge.hear(f, time.Now())
	return nil
}

// kicked ends a session that the server ends: its FIN comes first.
func (s *Session) kicked() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.Patience)); err != nil {
		return s.cut(err)
	}
	if _, err := s.conn.Read(s.buf[:]); !errors.Is(err, io.EOF) {
		return s.cut(fmt.Errorf("kicked without an end: %w", err))
	}
	s.close()
	return errKicked
}

// read reads a frame. Part of one stays in the buffer when the deadline comes.
func (s *Session) read() (frame, error) {
	want := frameSize
	if s.network == "udp" {
		want = len(s.buf)
	}
	for {
		n, err := s.conn.Read(s.buf[s.have:want])
		s.have += n
		if s.have == frameSize || s.network == "udp" && err == nil {
			f, err := parseFrame(s.buf[:s.have])
			s.have = 0
			return f, err
		}
		if err != nil {
			return frame{}, err
		}
	}
}

// cut ends the session as broken.
func (s *Session) cut(err error) error {
	s.breaks("cut: %v", err)
	s.end()
	return errors.Join(fmt.Errorf("session of %s: %w", s.client, err), s.conn.Close())
}

// end notes that the session has ended.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	s.overAt = time.Now()
	s.over.Store(true)
}

// breaks notes a reason.
func (s *Session) breaks(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	s.judge.breaks(format, args...)
}

// silence judges what has not been answered.
func (s *Session) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	s.judge.wait(time.Now(), s.Patience)
}
