package story

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// recipe is one of the cookbook, and what of it is another thing in a lab: addresses, programs, and times, so that hours
// take seconds. All else is run as it stands there.
type recipe struct {
	title, service string
	servers        map[string]string // the cookbook's addresses, and whose they are here
	here           []string          // pairs: as the cookbook has it, as it is here; HOOK, BOOKS and METRICS are filled in
	play           func(ctx context.Context, k *kitchen) error
}

// kitchen is where recipes are tried.
type kitchen struct {
	*Story
	books   *quality
	metrics *metrics
}

// cook tries recipes on one lab, all at once.
func cook(t *testing.T, topology lab.Options, at []game.Endpoint, list []recipe, serve func(*kitchen) error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*lab.ForEver)
	defer cancel()
	k := &kitchen{Story: mustTell(t)}
	texts := recipes(t)
	err := k.build(ctx, topology, at, func() string {
		if err := serve(k); err != nil {
			t.Fatal(err)
		}
		yaml, freeze := fmt.Sprintf("interfaces: [%s]\nmax_flows: 65536\nservices:\n", strings.Join(k.lab.Interfaces(), ", ")), ""
		for _, r := range list {
			services, freezes := k.adapt(t, r, texts[r.title])
			yaml, freeze = yaml+services, freeze+freezes
		}
		return yaml + freeze
	})
	if err != nil {
		t.Fatal(err)
	}
	var chapters []func(context.Context) error
	for _, r := range list {
		chapters = append(chapters, func(ctx context.Context) error { return r.play(ctx, k) })
	}
	if err := errors.Join(together(ctx, chapters), k.judge()); err != nil {
		t.Error(err)
	}
}

// recipes gives the cookbook's configurations by their titles.
func recipes(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/cookbook.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, chapter := range strings.Split(string(text), "\n## ")[1:] {
		title, rest, _ := strings.Cut(chapter, "\n")
		_, rest, _ = strings.Cut(rest, "```yaml\n")
		out[title], _, _ = strings.Cut(rest, "```")
	}
	return out
}

// adapt gives what a recipe says of its service, and of freezes, with what is different here. All that is has to be in the
// cookbook: who changes that is led here.
func (k *kitchen) adapt(t *testing.T, r recipe, text string) (services, freeze string) {
	t.Helper()
	_, text, found := strings.Cut(text, "services:\n")
	if !found {
		t.Fatalf("the cookbook has no recipe %q", r.title)
	}
	here := r.here
	for there, name := range r.servers {
		for _, b := range k.lab.Backends {
			if b.Name == name {
				here = append(here, "address: "+there, "address: "+b.V4.String())
			}
		}
	}
	var urls []string
	if k.books != nil {
		urls = []string{"BOOKS", k.books.URL(), "METRICS", k.metrics.URL()}
	}
	fill := strings.NewReplacer(append(urls, "HOOK", "/usr/bin/tee, -a, "+k.told(r.service))...)
	for i := 0; i < len(here); i += 2 {
		if !strings.Contains(text, here[i]) {
			t.Errorf("recipe %q of the cookbook has no %q any more", r.title, here[i])
		}
		text = strings.ReplaceAll(text, here[i], fill.Replace(here[i+1]))
	}
	if left := regexp.MustCompile(`address: 10\.0\.|/usr/local/|example`).FindString(text); left != "" {
		t.Errorf("recipe %q: %q is not here: say what stands for it", r.title, left)
	}
	services, freeze, frozen := strings.Cut(text, "freeze:\n")
	if frozen {
		freeze = "freeze:\n" + freeze
	}
	return services, freeze
}

// until waits until a release is in a state.
func (k *kitchen) until(ctx context.Context, service string, r api.Release, state string) error {
	_, err := k.comes(ctx, service, r.Number, func(r api.Release) bool { return r.State == state })
	return err
}

// visitors come, one after the other, play for a moment and leave, until the returned function is called. A gate that compares
// rates needs somebody who comes. With affinity client each has to be a client of his own.
func (c *cast) visitors(ctx context.Context, every time.Duration, from func() []netip.Addr) (enough func()) {
	coming, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-coming.Done():
				return
			case <-tick.C:
			}
			role := c.role
			role.From = from()
			p := c.fleet.Add(ctx, 1, role)[0]
			p.Exchange(1)
			p.Logout()
		}
	}()
	return func() { stop(); <-over }
}

// answerer answers a health check where a backend is asked by its own address, at which no player comes.
func answerer(b *lab.Backend, network string, port uint16) (net.Listener, net.PacketConn, error) {
	at := netip.AddrPortFrom(b.V4, port)
	if network == "udp" {
		conn, err := b.ListenPacket("udp", at)
		if err != nil {
			return nil, nil, err
		}
		go func() {
			for buf := make([]byte, 64); ; {
				n, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				if string(buf[:n]) == "ping" {
					conn.WriteTo([]byte("pong"), from)
				}
			}
		}()
		return nil, conn, nil
	}
	ln, err := b.Listen("tcp", at)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return ln, nil, nil
}
