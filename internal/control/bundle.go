package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/bundle"
	"github.com/ebbtide/ebbtide/internal/journal"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// journalInBundle is how many of the last events a bundle has.
const journalInBundle = 5000

// SupportBundle implements api.Controller. What can't be read is told in its file: a bundle is made when something is wrong.
func (c *Controller) SupportBundle(ctx context.Context, req api.SupportBundleRequest) (api.SupportBundle, error) {
	out := api.SupportBundle{Version: c.opt.Version, Made: c.opt.Now(), Masked: !req.Addresses}
	config, err := os.ReadFile(c.opt.ConfigFile)
	if err != nil {
		config = []byte("# " + err.Error() + "\n")
	}
	secrets := bundle.NewSecrets(c.secrets())
	clean := secrets.Text
	if out.Masked {
		mask := bundle.NewMask(c.publicAddresses())
		clean = func(text string) string { return mask.Text(secrets.Text(text)) }
	}
	add := func(name, text string) { out.Files = append(out.Files, api.BundleFile{Name: name, Text: clean(text)}) }
	add("configuration.yaml", secrets.Configuration(config))
	for _, f := range []struct {
		name string
		of   func() (any, error)
	}{
		{"host.json", func() (any, error) { return c.hostFacts() }},
		{"status.json", func() (any, error) { return c.Status(ctx) }},
		{"drops.json", func() (any, error) { return c.Drops(ctx, api.DropsRequest{IntervalSeconds: 1}) }},
		{"state.json", func() (any, error) { return c.stateInBundle(), nil }},
		{"gates.json", func() (any, error) { return c.gatesInBundle(ctx) }},
		{"kernel.json", func() (any, error) { return c.objects() }},
	} {
		add(f.name, jsonOr(f.of()))
	}
	add("journal.jsonl", c.journalText())
	if c.opt.Log != nil {
		add("daemon.log", string(c.opt.Log()))
	}
	return out, context.Cause(ctx)
}

// jsonOr is a value, or why there is none.
func jsonOr(v any, err error) string {
	if err == nil {
		var text []byte
		if text, err = json.MarshalIndent(v, "", "  "); err == nil {
			return string(text) + "\n"
		}
	}
	return fmt.Sprintf("not to be had: %v\n", err)
}

// secrets are texts of the configuration that only those may see who may read it: arguments of programs, and what is in the
// files of secrets.
func (c *Controller) secrets() (out []string) {
	c.mu.Lock()
	cfg := c.cfg
	c.mu.Unlock()
	if cfg == nil {
		return nil
	}
	file := func(path string) {
		if path != "" {
			secret, _ := os.ReadFile(path) // whoever needs it says what is wrong with it
			out = append(out, strings.TrimRight(string(secret), "\r\n"))
		}
	}
	for _, s := range cfg.Services {
		for _, hooks := range s.Release.Hooks {
			for _, h := range hooks {
				out = append(out, h.Exec[min(1, len(h.Exec)):]...)
				file(h.Webhook.SecretFile)
			}
		}
		for _, g := range s.Release.Gates {
			file(g.SecretFile)
		}
	}
	return out
}

// publicAddresses are those that are nobody's own: VIPs, backends, and this host's.
func (c *Controller) publicAddresses() (out []netip.Addr) {
	c.mu.Lock()
	for _, b := range c.image.Backends {
		for _, f := range kernel.Families() {
			if b.Addrs[f].IsValid() {
				out = append(out, b.Addrs[f])
			}
		}
	}
	for socket := range c.image.Listeners {
		out = append(out, socket.Addr)
	}
	c.mu.Unlock()
	addrs, _ := net.InterfaceAddrs() // without them the host's own are masked, too
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}

// hostFacts is what the daemon runs on.
func (c *Controller) hostFacts() (any, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("ask the kernel for its name: %w", err)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	now := c.opt.Now()
	return struct {
		Kernel     string        `json:"kernel"`
		Arch       string        `json:"arch"`
		Go         string        `json:"go"`
		CPUs       int           `json:"cpus"`
		Goroutines int           `json:"goroutines"`
		Heap       uint64        `json:"heap_bytes"`
		Up         time.Duration `json:"daemon_up"`
		ClockSet   time.Duration `json:"clock_set"`
	}{
		unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Version[:]), unix.ByteSliceToString(name.Machine[:]),
		runtime.Version(), runtime.NumCPU(), runtime.NumGoroutine(), mem.HeapAlloc, now.Sub(c.started), clockSet(c.started, now, now.Sub(c.started)),
	}, nil
}

// stateInBundle is the state file without the salt of steering, which says where a client goes.
func (c *Controller) stateInBundle() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.Salt = 0
	return s
}

func (c *Controller) gatesInBundle(ctx context.Context) (any, error) {
	out := []api.Gates{}
	c.mu.Lock()
	indexes := c.serviceIndexes()
	im := c.image
	c.mu.Unlock()
	for _, index := range indexes {
		g, err := c.Gates(ctx, api.GatesRequest{Service: im.Services[index].Name})
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// objects are what is in the kernel.
func (c *Controller) objects() (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps, programs, err := c.plane.Objects()
	if err != nil {
		return nil, err
	}
	interfaces, err := c.interfaces()
	return map[string]any{"build": c.plane.Build(), "maps": maps, "programs": programs, "interfaces": interfaces, "reasons": c.reasonsOr()}, err
}

func (c *Controller) reasonsOr() any {
	reasons, err := c.plane.Tables.Reasons()
	if err != nil {
		return err.Error()
	}
	return reasons
}

// journalText is the end of the journal, without what hooks printed.
func (c *Controller) journalText() string {
	_, last := c.opt.Journal.More()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	_, err := c.opt.Journal.Read(last-min(last, journalInBundle), func(e journal.Event) error {
		e.Before, e.After = withoutOutput(e.Before), withoutOutput(e.After)
		return enc.Encode(e)
	})
	if err != nil && !errors.Is(err, journal.ErrTorn) {
		fmt.Fprintf(&out, "not to be read further: %v\n", err)
	}
	return out.String()
}

// withoutOutput takes out what a hook printed: nobody knows what that is.
func withoutOutput(text json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil || fields["output"] == nil {
		return text
	}
	delete(fields, "output")
	text, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return text
}
