package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// sound is a configuration without a mistake. The tests of mistakes change it
// line by line and name its lines.
const sound = `interfaces: [eth0]
services:
  world:
    listeners:
      - {vip: 203.0.113.10, protocol: tcp, port: 7777}
      - {vip: 203.0.113.10, protocol: udp, port: 7777-7800}
      - {vip: "2001:db8::10", protocol: udp, port: 7777-7800}
    timeouts: {tcp: 1h, udp: 90s}
    pools:
      blue:
        version: "1.9"
        backends: [{address: 10.0.0.11}, {address: ["fd00::12", 10.0.0.12], weight: 2}]
      green:
        version: 1.10
        backends: [{address: [10.0.1.11, fd00:1::11], weight: 0}]
  lobby:
    forwarding: nat
    listeners: [{vip: 203.0.113.11, protocol: tcp, port: 443}]
    pools:
      blue:
        version: v7
        backends:
          - {address: 10.0.2.1, port: 8443}
          - address: 10.0.2.2
`

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

func mustParse(tb testing.TB, text string) *Config {
	tb.Helper()
	cfg, err := Parse("ebbtide.yaml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

func TestASoundFileIsReadWithItsDefaults(t *testing.T) {
	got := mustParse(t, strings.Replace(sound, "  lobby:", "    mss: auto\n    on_backend_loss: move\n  lobby:", 1))
	timeouts := DefaultTimeouts()
	timeouts.TCP, timeouts.UDP = time.Hour, 90*time.Second
	want := &Config{
		Interfaces: []string{"eth0"}, MaxFlows: 1_000_000, VIPAddresses: VIPAddressesHost, XDPMode: XDPNative, Echo: true,
		Services: []Service{
			{
				Name: "lobby", Forwarding: NAT, Affinity: AffinityFlow, Timeouts: DefaultTimeouts(), MSS: MSSKeep, OnBackendLoss: LossKeep,
				Strategy: Session, Release: defaultRelease(Session),
				Listeners: []Listener{{ip("203.0.113.11"), TCP, 443, 443}},
				Pools: map[Colour]Pool{Blue: {"v7", []Backend{
					{[]netip.Addr{ip("10.0.2.1")}, 8443, 1, 0}, {[]netip.Addr{ip("10.0.2.2")}, 0, 1, 0}}}},
			},
			{
				Name: "world", Forwarding: DSR, Affinity: AffinityFlow, Timeouts: timeouts, MSS: MSSAuto, OnBackendLoss: LossMove,
				Strategy: Session, Release: defaultRelease(Session),
				Listeners: []Listener{
					{ip("203.0.113.10"), TCP, 7777, 7777},
					{ip("203.0.113.10"), UDP, 7777, 7800},
					{ip("2001:db8::10"), UDP, 7777, 7800},
				},
				Pools: map[Colour]Pool{
					Blue: {"1.9", []Backend{
						{[]netip.Addr{ip("10.0.0.11")}, 0, 1, 0}, {[]netip.Addr{ip("10.0.0.12"), ip("fd00::12")}, 0, 2, 0}}},
					Green: {"1.10", []Backend{{[]netip.Addr{ip("10.0.1.11"), ip("fd00:1::11")}, 0, 0, 0}}},
				},
			},
		},
		file: got.file, lines: got.lines,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestAllKeysOfTheTopAreRead(t *testing.T) {
	got := mustParse(t, "{interfaces: [eth0, bond0.7], max_flows: 1024, vip_addresses: none, xdp: generic, echo: false, answers: 500, traces: {otlp: 'http://127.0.0.1:4318/v1/traces'}, services: {}}")
	if !reflect.DeepEqual(got.Interfaces, []string{"eth0", "bond0.7"}) || got.MaxFlows != 1024 ||
		got.VIPAddresses != VIPAddressesNone || got.XDPMode != XDPGeneric || got.Echo || got.Answers != 500 || got.Traces.OTLP != "http://127.0.0.1:4318/v1/traces" || len(got.Services) != 0 {
		t.Fatalf("got %+v", got)
	}
}

func TestAVersionIsTakenAsItIsWritten(t *testing.T) {
	for written, want := range map[string]string{
		"1.10": "1.10", "1.9": "1.9", `"1.10"`: "1.10", "0x10": "0x10", "1_0": "1_0", "007": "007", "true": "true",
		"2026-01-31": "2026-01-31", "1e3": "1e3", "'v1'": "v1", "v2.0-rc.1+b7": "v2.0-rc.1+b7",
	} {
		cfg := mustParse(t, strings.Replace(sound, "version: v7", "version: "+written, 1))
		if got := cfg.Services[0].Pools[Blue].Version; got != want {
			t.Errorf("%s is read as %q, want %q", written, got, want)
		}
	}
}

func TestABackendGivesTheAddressOfAFamily(t *testing.T) {
	both := Backend{Addresses: []netip.Addr{ip("10.0.0.12"), ip("fd00::12")}}
	only6 := Backend{Addresses: []netip.Addr{ip("fd00::12")}}
	if both.Addr4() != ip("10.0.0.12") || both.Addr6() != ip("fd00::12") || only6.Addr6() != ip("fd00::12") {
		t.Error("an address is not found")
	}
	if only6.Addr4().IsValid() || only6.AddrFor(ip("203.0.113.10")).IsValid() || both.AddrFor(ip("2001:db8::1")) != ip("fd00::12") {
		t.Error("an address of another family is given")
	}
}

func TestADSRBackendMayRepeatThePortOfItsListeners(t *testing.T) {
	text := strings.Replace(sound, "7777-7800", "7777", 2)
	text = strings.Replace(text, "{address: 10.0.0.11}", "{address: 10.0.0.11, port: 7777}", 1)
	world, _ := mustParse(t, text).Service("world")
	if port := world.Pools[Blue].Backends[0].Port; port != 0 {
		t.Fatalf("got port %d, want that of the listener", port)
	}
}

func TestTheTwoPoolsOfANATServiceMayShareABackendAddress(t *testing.T) {
	mustParse(t, sound+"      green: {version: v8, backends: [{address: 10.0.2.1}, {address: 10.0.2.2, port: 8443}]}\n")
}

func TestTheTwoPoolsOfADSRServiceMayShareABackend(t *testing.T) {
	mustParse(t, strings.Replace(sound, "[10.0.1.11, fd00:1::11]", "[10.0.0.12, fd00::12]", 1))
}

func TestAnchorsAndAliasesAreFollowed(t *testing.T) {
	text := strings.Replace(sound, "timeouts: {", "timeouts: &patient {", 1)
	text = strings.Replace(text, "forwarding: nat", "timeouts: *patient", 1)
	text = strings.Replace(text, "{address: 10.0.2.1, port: 8443}", "{address: 10.0.2.1}", 1)
	lobby, _ := mustParse(t, text).Service("lobby")
	if lobby.Timeouts.TCP != time.Hour {
		t.Fatalf("got %+v", lobby.Timeouts)
	}
}

func TestAServiceThatIsNotThereIsNotFound(t *testing.T) {
	if _, ok := mustParse(t, sound).Service("arena"); ok {
		t.Fatal("found")
	}
}

func TestAMistakeOfTheReleaseNamesTheLineOfItsField(t *testing.T) {
	cfg := mustParse(t, sound)
	for field, line := range map[string]int{
		"services.world.pools.green.version":  14,
		"services.world.listeners[1]":         6,
		"services.world.listeners[1].port":    6,
		"services.world.forwarding":           3,
		"services.lobby.forwarding":           17,
		"services.lobby.pools":                19,
		"services.lobby.pools.green":          19,
		"services.lobby.pools.blue.backends":  20,
		"interfaces[0]":                       1,
		"services.arena":                      0,
		"services.world.pools.blue.backends[": 10,
	} {
		want := fmt.Sprintf("ebbtide.yaml:%d: %s: is live", line, field)
		if line == 0 {
			want = "ebbtide.yaml: " + field + ": is live"
		}
		if got := cfg.Mistake(field, "is live").Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAFileIsLoadedUnderItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ebbtide.yaml")
	if err := os.WriteFile(path, []byte(sound+"xdp: nativ\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	if want := path + `:25: xdp: want native or generic, got "nativ"`; err == nil || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	var mistake *Error
	if !errors.As(err, &mistake) || mistake.Line != 25 || mistake.Field != "xdp" {
		t.Fatalf("got %+v", mistake)
	}
}

func TestAFileThatCannotBeReadIsThatError(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
		t.Fatalf("got %v", err)
	}
}

func TestTheExampleIsSound(t *testing.T) {
	cfg, err := Load("../../ebbtide.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Services) < 2 {
		t.Fatalf("%d services", len(cfg.Services))
	}
}

func TestTheExampleWritesEveryDefaultTimeout(t *testing.T) {
	const example = "../../ebbtide.example.yaml"
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	world, _ := mustParse(t, string(data)).Service("world")
	if world.Timeouts != DefaultTimeouts() {
		t.Errorf("%s says of %+v that they are the defaults, which are %+v", example, world.Timeouts, DefaultTimeouts())
	}
	var written struct {
		Services map[string]struct{ Timeouts map[string]string }
	}
	if err := yaml.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	if got, want := len(written.Services["world"].Timeouts), reflect.TypeFor[Timeouts]().NumField(); got != want {
		t.Errorf("%s writes %d timeouts of %d", example, got, want)
	}
}
