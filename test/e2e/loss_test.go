package e2e

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A machine that dies keeps its sessions, or loses them to the other one, as its service says.
func TestASessionMovesFromALostBackendOnlyWhenItsServiceSaysSo(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{backends: []string{"blue1", "blue2", "green1"}, timeouts: calm, noWorld: true})
	dead, other := s.lab.Backend("blue1"), s.lab.Backend("blue2")
	nameServers(t, dead, other)
	talks := map[string][]talk{}
	for _, network := range []string{"tcp", "udp"} {
		for len(talks[network+dead.Name]) < 2 || len(talks[network+other.Name]) < 2 {
			c := s.mustTalk(t, network)
			talks[network+c.name] = append(talks[network+c.name], c)
		}
	}
	s.plugged(t, dead, false)
	eventually(t, "nobody to answer for "+dead.Name, func() bool {
		return strings.Contains(s.backendStatus(t, dead.V4).NextHops[0].Reason, "does not answer")
	})
	if st := s.backendStatus(t, dead.V4).State; st != api.BackendInUse {
		t.Errorf("with on_backend_loss: keep it is %q", st)
	}
	keep := setting{timeouts: calm}.withDefaults().yaml(s.lab)
	move := strings.Replace(keep, "    timeouts:", "    on_backend_loss: move\n    timeouts:", 1)
	s.configure(t, move)
	if plan := s.reload(t); !slices.Contains(plan.Changes, api.Change{Service: service, What: "on_backend_loss from keep to move"}) {
		t.Errorf("the plan is %+v", plan)
	}
	s.awaitState(t, dead, api.BackendLost)

	for _, c := range talks["tcp"+dead.Name] {
		if name, err := c.say(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a TCP session with it has %q (%v), want a reset", name, err)
		}
	}
	for _, c := range slices.Concat(talks["udp"+dead.Name], talks["udp"+other.Name], talks["tcp"+other.Name]) {
		if name, err := c.say(); name != other.Name {
			t.Errorf("a session with %s that can go on has %q (%v)", c.name, name, err)
		}
	}
	if got, want := s.generation(t, blue).Moved, len(talks["tcp"+dead.Name])+len(talks["udp"+dead.Name]); got != uint64(want) {
		t.Errorf("%d sessions count as moved, want %d", got, want)
	}
	for range 8 {
		if c := s.mustTalk(t, "tcp"); c.name != other.Name {
			t.Errorf("a new session is with %s", c.name)
		}
	}
	s.configure(t, keep)
	s.reload(t)
	s.awaitState(t, dead, api.BackendInUse)
	s.configure(t, move)
	s.reload(t)
	s.awaitState(t, dead, api.BackendLost)
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := s.backendStatus(t, dead.V4).State; st != api.BackendLost {
		t.Errorf("a daemon that has just started finds it %q", st)
	}
	s.plugged(t, dead, true)
	s.awaitState(t, dead, api.BackendInUse)
	eventually(t, "a new session with "+dead.Name, func() bool { return s.mustTalk(t, "udp").name == dead.Name })
}

// plugged joins a machine to the bridge, or takes it off.
func (s *stage) plugged(t *testing.T, b *lab.Backend, in bool) {
	t.Helper()
	handle := s.lab.Switch.Netlink()
	port, err := handle.LinkByName(b.Name)
	if err != nil {
		t.Fatal(err)
	}
	set := map[bool]func(netlink.Link) error{true: handle.LinkSetUp, false: handle.LinkSetDown}[in]
	if err := set(port); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) awaitState(t *testing.T, b *lab.Backend, want string) {
	t.Helper()
	eventually(t, b.Name+" to be "+want, func() bool { return s.backendStatus(t, b.V4).State == want })
}

// nameServers answer whatever they are sent with their backend's name.
func nameServers(t *testing.T, backends ...*lab.Backend) {
	t.Helper()
	for _, b := range backends {
		at := netip.AddrPortFrom(lab.VIP4, port)
		listener, err := b.Listen("tcp4", at)
		if err != nil {
			t.Fatal(err)
		}
		socket, err := b.ListenPacket("udp4", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close(); socket.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { conn.Close() })
				go answerTCP(conn, b.Name)
			}
		}()
		go answerUDP(socket, b.Name)
	}
}

func answerTCP(conn net.Conn, name string) {
	for said := make([]byte, 64); ; {
		if _, err := conn.Read(said); err != nil {
			return
		}
		if _, err := conn.Write([]byte(name)); err != nil {
			return
		}
	}
}

func answerUDP(socket *net.UDPConn, name string) {
	for said := make([]byte, 64); ; {
		_, from, err := socket.ReadFromUDPAddrPort(said)
		if err != nil {
			return
		}
		if _, err := socket.WriteToUDPAddrPort([]byte(name), from); err != nil {
			return
		}
	}
}

// talk is a client's session with a name server.
type talk struct {
	net.Conn
	name string
}

func (s *stage) mustTalk(t *testing.T, network string) talk {
	t.Helper()
	conn, err := s.lab.Client.Dial(t.Context(), network, netip.AddrPortFrom(lab.VIP4, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := talk{Conn: conn}
	if c.name, err = c.say(); err != nil {
		t.Fatal(err)
	}
	return c
}

// say says something and returns who answers.
func (c talk) say() (string, error) {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	name := make([]byte, 64)
	n, err := c.Read(name)
	return string(name[:n]), err
}
