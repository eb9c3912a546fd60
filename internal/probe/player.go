package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Player is a session of the shadow, as its player sees it.
type Player struct {
	ID      int
	Network string
	Client  netip.AddrPort
	Colour  string // of the backend that answered last
	Sent    uint64 // messages, each of which was answered, in order, when it is not Broken
	Told    int    // times that a RST told it to move, and it connected anew
	Moved   int    // times that another colour answered than before
	Broken  string // what it noticed that nobody had told it; "": nothing
}

// player is the session of one.
type player struct {
	Player
	conn  net.Conn
	lines *bufio.Reader
}

// patience is how long an answer may take, and a datagram until it is sent again.
const (
	patience = 3 * time.Second
	again    = 500 * time.Millisecond
)

func (n *Net) newPlayer(ctx context.Context, id int) *player {
	p := &player{Player: Player{ID: id, Network: []string{"tcp", "udp"}[id%2]}}
	if err := p.connect(ctx, n); err != nil {
		p.Broken = err.Error()
		return p
	}
	p.exchange(ctx, n)
	p.Moved = 0
	return p
}

func (p *player) connect(ctx context.Context, n *Net) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	p.conn, err = n.dial(ctx, p.Network, netip.AddrPortFrom(players, 0), netip.AddrPortFrom(ShadowVIP, ShadowPort))
	if err != nil {
		return fmt.Errorf("no session: %w", err)
	}
	p.lines = bufio.NewReader(p.conn)
	if a, err := netip.ParseAddrPort(p.conn.LocalAddr().String()); err == nil {
		p.Client = a
	}
	return nil
}

// exchange sends a message and wants it back. A RST is the word to connect anew, by which no message is lost: the same one is
// sent again.
func (p *player) exchange(ctx context.Context, n *Net) {
	if p.Broken != "" {
		return
	}
	p.Sent++
	colour, err := p.ask()
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		p.Told++
		p.conn.Close()
		if err = p.connect(ctx, n); err == nil {
			colour, err = p.ask()
		}
	}
	if err != nil {
		p.Broken = err.Error()
		return
	}
	if colour != p.Colour {
		p.Moved++
		p.Colour = colour
	}
}

func (p *player) ask() (colour string, err error) {
	if p.Network == "udp" {
		return p.askDatagram()
	}
	if err := p.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(p.conn, "%d\n", p.Sent); err != nil {
		return "", err
	}
	line, err := p.lines.ReadString('\n')
	if errors.Is(err, io.EOF) {
		return "", errors.New("its server ended the session")
	}
	if err != nil {
		return "", fmt.Errorf("message %d: %w", p.Sent, err)
	}
	return p.answered(strings.TrimSuffix(line, "\n"))
}

// askDatagram passes over answers to what was sent before: one that was sent twice is answered twice.
func (p *player) askDatagram() (colour string, err error) {
	buf := make([]byte, maxSeen)
	for range int(patience / again) {
		if _, err := fmt.Fprintf(p.conn, "%d", p.Sent); err != nil {
			return "", err
		}
		until := time.Now().Add(again)
		if err := p.conn.SetReadDeadline(until); err != nil {
			return "", err
		}
		for {
			n, err := p.conn.Read(buf)
			if err != nil {
				break // of the deadline, or an ICMP error; it is sent again
			}
			if colour, err := p.answered(string(buf[:n])); err == nil {
				return colour, nil
			}
		}
	}
	return "", fmt.Errorf("message %d: no answer in %s", p.Sent, patience)
}

func (p *player) answered(text string) (colour string, err error) {
	colour, number, _ := strings.Cut(text, " ")
	if number != fmt.Sprint(p.Sent) {
		return "", fmt.Errorf("message %d: the answer is %q", p.Sent, text)
	}
	return colour, nil
}

func (p *player) close() {
	if p.conn != nil {
		p.conn.Close()
	}
}
