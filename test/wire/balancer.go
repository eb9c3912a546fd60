package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	service = "world"
	port    = 7777
	ready   = 20 * time.Second // for a balancer to come up

	routing    = "routing alone"
	ebbtideNAT = "ebbtide, nat"
)

// balancer is a way from the client to the backends, on two arms.
type balancer struct {
	name       string
	forwarding lab.Forwarding
	protocols  []string
	start      func(ctx context.Context, s *stage) error
}

var balancers = []balancer{
	{routing, lab.NAT, []string{"udp", "tcp"}, startRouting},
	{ebbtideNAT, lab.NAT, []string{"udp", "tcp"}, startEbbtide},
	{"ebbtide, dsr", lab.DSR, []string{"udp", "tcp"}, startEbbtide},
	{"nftables, dnat", lab.NAT, []string{"udp", "tcp"}, startNFTables},
	{"haproxy", lab.NAT, []string{"tcp"}, startHAProxy},
}

// stage is a balancer in its network.
type stage struct {
	balancer
	lab  *lab.Lab
	host *host.Host
	pids []int // of the balancer's own processes
	to   []netip.AddrPort

	flood *flood
}

func newStage(ctx context.Context, b balancer) (*stage, error) {
	l, err := lab.New(lab.Options{Forwarding: b.forwarding, Arms: lab.TwoArms, Backends: []string{"blue1", "blue2", "green1"}})
	if err != nil {
		return nil, err
	}
	s := &stage{balancer: b, lab: l, to: []netip.AddrPort{netip.AddrPortFrom(lab.VIP4, port)}}
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	err = b.start(ctx, s)
	if err == nil {
		err = s.attach()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) close() {
	if s.flood != nil {
		s.flood.close()
	}
	if s.host != nil {
		s.host.Kill()
	}
	s.lab.Close()
}

// startRouting sends the clients to the backends' own addresses, by way of the balancer's host.
func startRouting(_ context.Context, s *stage) error {
	s.to = nil
	for _, b := range s.live() {
		if err := s.lab.Router.Route(netip.PrefixFrom(b.V4, 32), "front", s.lab.LBAddresses()[0]); err != nil {
			return err
		}
		s.to = append(s.to, netip.AddrPortFrom(b.V4, port))
	}
	return nil
}

func startEbbtide(ctx context.Context, s *stage) (err error) {
	if s.host, err = host.New(s.lab, host.Options{}); err != nil {
		return err
	}
	var listeners []string
	for _, protocol := range s.protocols {
		listeners = append(listeners, fmt.Sprintf("{vip: %s, protocol: %s, port: %d}", lab.VIP4, protocol, port))
	}
	if err := s.host.Configure(host.YAML(s.lab, s.forwarding, 100_000, host.Service{Name: service, Listeners: listeners})); err != nil {
		return err
	}
	if err := s.host.Start(ctx); err != nil {
		return err
	}
	s.pids = []int{s.host.PID()}
	return s.await(ctx, "the next hops", func() bool {
		status, err := s.host.Client.Status(ctx)
		return err == nil && host.Resolved(status.Services[0].Generations[0])
	})
}

// startNFTables gives the VIP to the host and rewrites what is for it, to one backend after the other.
func startNFTables(ctx context.Context, s *stage) error {
	if err := s.lab.LB.AddAddress("eth0", netip.PrefixFrom(lab.VIP4, 32)); err != nil {
		return err
	}
	rules := fmt.Sprintf(`table ip balance {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr %s meta l4proto { tcp, udp } th dport %d dnat to numgen inc mod %d map { %s }
	}
}
`, lab.VIP4, port, len(s.live()), s.each(func(i int, b *lab.Backend) string { return fmt.Sprintf("%d : %s", i, b.V4) }, ", "))
	return s.do(ctx, rules, "nft", "-f", "-")
}

func startHAProxy(ctx context.Context, s *stage) error {
	if err := s.lab.LB.AddAddress("eth0", netip.PrefixFrom(lab.VIP4, 32)); err != nil {
		return err
	}
	config := fmt.Sprintf(`global
	maxconn 4096
defaults
	mode tcp
	timeout connect 5s
	timeout client 1m
	timeout server 1m
listen world
	bind %s:%d
	balance roundrobin
%s
`, lab.VIP4, port, s.each(func(i int, b *lab.Backend) string { return fmt.Sprintf("\tserver s%d %s:%d", i, b.V4, port) }, "\n"))
	name := filepath.Join(s.lab.Dir, "haproxy.cfg")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write haproxy's configuration: %w", err)
	}
	cmd := exec.Command("haproxy", "-db", "-f", name)
	if err := s.lab.LB.Start(cmd); err != nil {
		return err
	}
	go cmd.Wait() // it is killed with the lab
	s.pids = []int{cmd.Process.Pid}
	return s.await(ctx, "haproxy", func() bool {
		conn, err := s.lab.LB.Dial(ctx, "tcp", s.to[0])
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (s *stage) each(text func(i int, b *lab.Backend) string, separator string) string {
	var all []string
	for i, b := range s.live() {
		all = append(all, text(i, b))
	}
	return strings.Join(all, separator)
}

// do runs a command on the balancer's host to its end.
func (s *stage) do(ctx context.Context, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := s.lab.LB.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out.String())
	}
	return nil
}

// await waits for what nothing announces.
func (s *stage) await(ctx context.Context, what string, ok func() bool) error {
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// live are the backends that take sessions: the pool's that a new daemon makes live, of which the others know nothing.
func (s *stage) live() []*lab.Backend { return s.lab.Backends[:2] }
