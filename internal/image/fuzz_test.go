package image

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/state"
)

// FuzzReload applies one file behind another: an image comes out or a refusal, and the same file once more changes
// nothing.
func FuzzReload(f *testing.F) {
	seeds := []string{
		worldYAML,
		strings.ReplaceAll(worldYAML, "7777-7779", "7779-7781"),
		strings.ReplaceAll(worldYAML, `"2.0"`, `"2.1"`),
		strings.ReplaceAll(worldYAML, "protocol: tcp", "protocol: udp, port: 9") + "        weight: 0\n",
		strings.ReplaceAll(worldYAML, "world:", "moon:"),
		strings.ReplaceAll(worldYAML, "10.0.0.12, weight: 2", "10.0.0.12, weight: 0"),
		strings.ReplaceAll(worldYAML, "  world:", "  world:\n    forwarding: nat"),
	}
	if example, err := os.ReadFile("../../ebbtide.example.yaml"); err == nil {
		seeds = append(seeds, string(example))
	}
	for _, before := range seeds {
		for _, after := range seeds {
			f.Add([]byte(before), []byte(after))
		}
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
		have := New()
		for _, text := range [][]byte{before, after} {
			cfg, err := config.Parse("f", text)
			if err != nil || ports(cfg) > 2000 {
				return
			}
			in := Inputs{Config: cfg, State: state.State{}, Have: have, Now: noon, Ticks: func(d time.Duration) uint32 { return uint32(d / time.Second) }}
			im, _, err := Build(in)
			if err != nil {
				return
			}
			in.Have = im
			again, _, err := Build(in)
			if err != nil || !reflect.DeepEqual(im, again) {
				t.Fatalf("the same file again (%v) gives another image:\n%s", err, text)
			}
			have = im
		}
	})
}

// ports is how many a file has listeners on: more than a few thousand only take time.
func ports(cfg *config.Config) (n int) {
	for _, s := range cfg.Services {
		for _, l := range s.Listeners {
			n += int(l.Last) - int(l.First) + 1
		}
	}
	return n
}
