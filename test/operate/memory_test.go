package operate

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	million = 1_000_000
	// own is what the daemon may take for itself, whatever the number of flows.
	own = 48 << 20
)

// The flows stay in mapped kernel memory: the daemon's own memory does not grow with them, whatever it is asked.
func TestTheDaemonsOwnMemoryIsSmallWithAMillionFlows(t *testing.T) {
	s := mustSet(t, setting{timeouts: calm})
	s.configure(t, strings.Replace(s.yaml(), "max_flows: 65536", fmt.Sprintf("max_flows: %d", million), 1))
	d := s.mustRun(t)
	s.login(t, "blue")
	s.plant(t, million)
	lab.Eventually(t, "a sweep that counts a million", func() bool {
		return s.service(t).Generations[0].Sessions.Established >= million
	})
	for _, args := range [][]string{
		{"status"}, {"flows", "world", "-o", "json"}, {"flip", "world", "--force"}, {"reload"}, {"status", "-o", "json"}, // so full a table would refuse it
	} {
		if got := s.do(t, args...); got.code != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
	}
	anon := anonymous(t, d.cmd.Process.Pid)
	t.Logf("RssAnon with a million flows: %.1f MiB", float64(anon)/(1<<20))
	if anon > own {
		t.Errorf("the daemon's own memory is %d bytes, want at most %d", anon, own)
	}
}

// plant makes so many established flows, all alike, of the first one that is there.
func (s *stage) plant(t *testing.T, flows int) {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var like maps.Meta
	for f := range p.Tables.Flows() {
		like = p.Tables.Meta(f.Family, f.Slot)
	}
	like += maps.Meta(maps.Established) - maps.Meta(like.State())
	for slot := uint32(0); flows > 0 && slot < p.Tables.SlotCount(maps.IPv4); slot++ {
		if m := p.Tables.Meta(maps.IPv4, slot); m.State() == maps.Free && p.Tables.SwapMeta(maps.IPv4, slot, m, like) {
			flows--
		}
	}
	if flows > 0 {
		t.Fatalf("%d flows found no slot", flows)
	}
}

var rssAnon = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// anonymous is a process's anonymous resident memory in bytes.
func anonymous(t *testing.T, pid int) uint64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := rssAnon.FindSubmatch(status)
	if found == nil {
		t.Fatalf("no RssAnon in %s", status)
	}
	kib, err := strconv.ParseUint(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
