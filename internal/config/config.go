// Package config reads the one YAML file that says what ebbtide shall do.
//
// The file is desired state. It never says which colour is live: the kernel
// and the state file do. A file is taken whole or not at all, and every
// mistake in it is reported with its file, line, field and reason.
package config

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
)

// What one file may hold. Backend ids have to fit over all generations, those
// that drain included, and the data path's tables are sized for these.
const (
	MaxServices  = 1_000
	MaxListeners = 10_000
	MaxBackends  = 65_000
	MaxTesters   = 65_536 // of all services

	// MaxListenerPorts bounds the ports of all listeners, each port of a
	// range counted. MaxReplySockets bounds the nat sockets by which replies
	// are known: a backend address for each port of each listener of its
	// family. The data path has an entry for each of both.
	MaxListenerPorts = 65_535
	MaxReplySockets  = 65_535
)

// What max_flows may be, and what it is when the file does not say.
const (
	MinMaxFlows     = 1 << 10
	MaxMaxFlows     = 1 << 26
	DefaultMaxFlows = 1_000_000
)

// MaxAnswers is the most answers of each kind a second that a file may ask for.
const MaxAnswers = 1_000_000

// maxFileSize is far over what the largest allowed configuration needs.
const maxFileSize = 32 << 20

// Config is one checked configuration file with all defaults filled in.
type Config struct {
	Interfaces   []string
	MaxFlows     uint32
	VIPAddresses VIPAddresses
	XDPMode      XDPMode
	OuterSource  OuterSource
	Echo         bool   // echo requests to VIPs are answered
	Answers      uint32 // of each kind (echo, "too big", RST) a second; 0: not said
	Traces       Traces
	Freeze       []Freeze
	API          *API           // nil: it answers on its socket only
	Web          netip.AddrPort // where the web page is served; the zero value: nowhere
	Services     []Service      // sorted by name
	Staged       []Staged       // pools of Services that are not the file's

	file  string
	lines map[string]int
}

// Load reads and checks the file at path. Mistakes in the file are returned
// as [Errors]; a file that can't be read is returned as the error of os.
func Load(path string) (*Config, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Read gives what is in the configuration file at path, for who has more than one question to the same text. Of one that is
// too large it gives as much as shows that.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// Parse checks data as the configuration file called name, which is used in
// messages only. Every error it returns is an [Errors].
func Parse(name string, data []byte) (*Config, error) {
	d := &decoder{file: name, lines: map[string]int{}}
	if root, ok := d.document(data); ok {
		cfg := d.config(root)
		if len(d.errs) == 0 {
			return cfg, nil
		}
	}
	return nil, d.sorted()
}

// Service returns the service called name.
func (c *Config) Service(name string) (Service, bool) {
	at, found := slices.BinarySearchFunc(c.Services, name, func(s Service, name string) int { return cmp.Compare(s.Name, name) })
	if !found {
		return Service{}, false
	}
	return c.Services[at], true
}

// Mistake is an error about field of this configuration, for a rule that the
// file alone can't break, such as a new version in the live colour. It has the
// line of field, or of the nearest known field around it.
func (c *Config) Mistake(field, reason string) *Error {
	e := &Error{File: c.file, Field: field, Reason: reason}
	for near := field; near != "" && e.Line == 0; near = parentField(near) {
		e.Line = c.lines[near]
	}
	return e
}

func (d *decoder) config(root value) *Config {
	cfg := &Config{
		MaxFlows:     DefaultMaxFlows,
		VIPAddresses: VIPAddressesHost,
		XDPMode:      XDPNative,
		Echo:         true,
		file:         d.file,
		lines:        d.lines,
	}
	fields, ok := root.mapping("interfaces", "max_flows", "vip_addresses", "xdp", "ipip", "echo", "answers", "traces", "freeze", "api", "web", "services")
	if !ok {
		return cfg
	}
	if v, ok := fields.need("interfaces"); ok {
		cfg.Interfaces = v.interfaces()
	}
	if v, ok := fields.get("max_flows"); ok {
		cfg.MaxFlows, _ = v.number(MinMaxFlows, MaxMaxFlows)
	}
	if v, ok := fields.get("vip_addresses"); ok {
		cfg.VIPAddresses, _ = oneOf(v, VIPAddressesHost, VIPAddressesNone)
	}
	if v, ok := fields.get("xdp"); ok {
		cfg.XDPMode, _ = oneOf(v, XDPNative, XDPGeneric)
	}
	if v, ok := fields.get("ipip"); ok {
		cfg.OuterSource = v.ipip()
	}
	if v, ok := fields.get("echo"); ok {
		cfg.Echo = v.yesOrNo()
	}
	if v, ok := fields.get("answers"); ok {
		cfg.Answers, _ = v.number(1, MaxAnswers)
	}
	if v, ok := fields.get("traces"); ok {
		cfg.Traces = v.traces()
	}
	if v, ok := fields.get("web"); ok {
		cfg.Web = v.web()
	}
	if v, ok := fields.need("services"); ok {
		cfg.Services = v.services()
	}
	if v, ok := fields.get("freeze"); ok {
		cfg.Freeze = checkFreezes(v.freezes(), cfg.Services)
	}
	if v, ok := fields.get("api"); ok {
		v.remember()
		cfg.API = v.api(cfg.Services)
	}
	return cfg
}
