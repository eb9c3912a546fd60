// Command wire measures load balancers side by side over veth, on one topology in network namespaces: packets a second
// and CPU time a packet through ebbtide, through nftables' DNAT and through haproxy, and through the kernel's routing
// alone. docs/performance.md explains the method.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ebbtide/ebbtide/test/host"
)

const (
	rounds   = 5
	patience = 4 * time.Minute
)

func main() {
	host.Child() // a daemon is this executable
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := run(ctx, full); err != nil {
		fmt.Fprintln(os.Stderr, "wire:", err)
		stop()
		cancel()
		os.Exit(1)
	}
}

// full is what `make bench-wire` sends in a round: to each balancer some hundred thousand packets.
var full = load{datagrams: 400_000, turns: 300, players: 32}

func run(ctx context.Context, size load) error {
	for _, tool := range []string{"nft", "haproxy"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("find %s: %w: `make bench-wire` installs it", tool, err)
		}
	}
	var stages []*stage
	defer func() {
		for _, s := range stages {
			s.close()
		}
	}()
	for _, b := range balancers {
		s, err := newStage(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		stages = append(stages, s)
	}
	samples := map[string][]sample{}
	for range rounds {
		for _, s := range stages {
			for _, protocol := range s.protocols {
				taken, err := s.measure(ctx, protocol, size)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, protocol, err)
				}
				key := protocol + s.name
				samples[key] = append(samples[key], taken)
			}
		}
	}
	print(samples)
	return nil
}

// print shows medians: packets or turns a second, and what the balancer's own way adds to routing's CPU time.
func print(samples map[string][]sample) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, protocol := range []string{"udp", "tcp"} {
		unit := map[string]string{"udp": "packet", "tcp": "turn"}[protocol]
		fmt.Fprintf(w, "%s\t%ss/s\tCPU, ns a %s\tto ebbtide nat\tlost\t  \n", protocol, unit, unit)
		ours := median(samples[protocol+ebbtideNAT], cpuOf)
		for _, b := range balancers {
			taken := samples[protocol+b.name]
			if len(taken) == 0 {
				continue
			}
			cpu := median(taken, cpuOf)
			fmt.Fprintf(w, "\t%.0f\t%.0f\t%.2f\t%.1f%%\t  %s\n", median(taken, rateOf), cpu, cpu/ours, 100*median(taken, lossOf), b.name)
		}
	}
	w.Flush()
}

// sample is what a load took.
type sample struct {
	count int           // of packets that arrived, or of turns
	lost  int           // that did not arrive
	wall  time.Duration // from the first to the last
	cpu   time.Duration // of clients, balancer and backends
}

func rateOf(s sample) float64 { return float64(s.count) / s.wall.Seconds() }

func cpuOf(s sample) float64 { return float64(s.cpu) / float64(s.count) }

func lossOf(s sample) float64 { return float64(s.lost) / float64(s.lost+s.count) }

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
