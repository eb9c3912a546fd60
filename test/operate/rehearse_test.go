package operate

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A rehearsal goes through a whole release, and who plays notices nothing. It leaves nothing, nor does one in whose middle the
// daemon is killed.
func TestARehearsalIsNoticedByNobodyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s, smokes := mustProbe(t, lab.VIP4)
	s.do(t, "rehearse", service).mustBe(t, 5, "", "ebbtide: rehearse world: no probe net runs on this host, and it has the players; see ebbtide probenet --help\n")
	s.probeNet(t, "--address", probe4, "--interface", s.lab.LANInterface())
	player := s.login(t, "blue")
	s.swept(t)
	before := s.everything(t)
	v := s.begin(t, "rehearse", service)
	for going := true; going; {
		select {
		case <-v.over:
			going = false
		default:
			player.Exchange(1)
		}
	}
	v.end(t).mustBe(t, 0, "world: from "+blue1+" to generation 2 (green, version 2.0), strategy session\n"+
		"…ok      probe http 8080 of 203.0.113.10: 2 of 2 backends of generation 2 answered: …"+
		"…-       would flipping: all new sessions go to generation 2, 2 sessions stay on generation 1"+
		"…ok      sessions: 8 sessions, all on blue\n"+
		"…ok      flip: 0 new sessions on the old generation since; barrier …; 8 sessions stayed, none of them broken; 4 new ones, all on green\n"+
		"…ok      drain: 6 of 8 left, and the kernel counts the other 2\n"+
		"…ok      notice: 2 would be told: [198.18.117.100:… 198.18.117.100:…]; no hook was run\n"+
		"…ok      migrate: 2 sessions moved: 1 told by a RST, 1 by its next packet; none stalled, none of the others was touched\n"+
		"…ok      drained: proved by the kernel's count; …"+
		"…ok      rollback: 0 new sessions on the old generation since; barrier …; 4 sessions stayed, none of them broken; 4 new ones, all on blue\n"+
		"…ok      logs: the backends have served 12 sessions on blue and 6 on green, those that the players had\n"+
		"…ok      clean-up: the shadow is out of the kernel, and the program off its interfaces\n", "")
	s.mustBeEverything(t, before)
	if by := smokes["blue1"].by(); len(by) != 0 {
		t.Errorf("the live generation was asked by %q", by)
	}

	if err := s.host.Stop(); err != nil {
		t.Fatal(err)
	}
	s.host.Options().KillOn, s.host.Options().KillAt = "flip: store", 1
	s.start(t)
	s.do(t, "rehearse", service, "-o", "json").mustBe(t, 6, "", "…went away…")
	if err := s.host.Wait(); err != nil {
		t.Fatal(err)
	}
	if left := s.everything(t); left.is == before.is {
		t.Error("a daemon that was killed in its rehearsal left nothing: this test sees nothing")
	}
	s.host.Options().KillAt = 0
	s.start(t)
	s.mustBeEverything(t, before)
	player.Exchange(1)
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// everything is what a rehearsal could leave: what configuration maps hold, by the bytes and as they are read; flows of
// anybody but players; the host's links, addresses, routes, rules and neighbours; pins; the state file.
type everything struct {
	is    string
	parts map[string]string
}

// moving are maps that change with traffic and time, and hold no configuration; flows, Maglev tables and interfaces are looked
// at as they are read: a Maglev table of nobody stands for none, and a slot that is not in use may have anything.
func moving(name string) bool {
	for _, part := range []string{"flows", "cold", "count", "reasons", "lifetimes", "tallies", "memos", "fragments", "work", "stripes", "prefixes", "known", "stamp", "troubles", "_dot_bss", "maglev"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func (s *stage) everything(t *testing.T) everything {
	t.Helper()
	out := everything{parts: map[string]string{}}
	pins, err := filepath.Glob(filepath.Join(s.host.Options().BPFDir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out.parts["pins"] = strings.Join(pins, "\n")
	seen := 0
	for _, pin := range pins {
		if filepath.Base(filepath.Dir(pin)) == "maps" && !moving(filepath.Base(pin)) {
			out.parts["map "+filepath.Base(pin)] = mustDump(t, pin)
			seen++
		}
	}
	if seen < 8 {
		t.Fatalf("only %d maps are looked at: %q", seen, pins)
	}
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	im, err := image.Read(p.Tables)
	if err != nil {
		t.Fatal(err)
	}
	out.parts["ifaces"] = fmt.Sprint(p.Tables.Ifaces(), p.Tables.VLANs())
	out.parts["image"] = fmt.Sprintf("%+v %+v %+v %+v", im.Services, im.Generations, im.Listeners, im.Testers)
	for _, f := range maps.Families() {
		for g := range uint16(64) {
			ids, err := p.Tables.Maglev(g, f)
			if err != nil {
				t.Fatal(err)
			}
			if len(ids) > 0 {
				out.parts["maglev"] += fmt.Sprintln(g, f, ids)
			}
		}
		p.Tables.Scan(f, 0, p.Tables.SlotCount(f), maps.Wanted{Meta: func(maps.Meta) bool { return true }}, func(flow maps.Flow) bool {
			if from := flow.Client.Addr().String(); probe.ShadowNet.Contains(flow.Client.Addr()) || from == probe4 || from == probe6 {
				out.parts["flows"] += fmt.Sprintf("%+v\n", flow)
			}
			return true
		})
	}
	s.hostParts(t, out.parts)
	var state map[string]any
	if err := json.Unmarshal([]byte(mustRead(t, filepath.Join(s.host.Options().StateDir, "state.json"))), &state); err != nil {
		t.Fatal(err)
	}
	delete(state, "revision") // it only grows
	out.parts["state"] = fmt.Sprint(state)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range out.parts {
			if !yield(name) {
				return
			}
		}
	}) {
		out.is += name + ": " + out.parts[name] + "\n"
	}
	return out
}

// hostParts is what the host has of interfaces and ways.
func (s *stage) hostParts(t *testing.T, parts map[string]string) {
	t.Helper()
	net := s.lab.LB.Netlink()
	links, err := net.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		xdp := l.Attrs().Xdp
		parts["links"] += fmt.Sprint(l.Attrs().Name, l.Attrs().Index, l.Attrs().MTU, l.Attrs().Promisc, xdp != nil && xdp.Attached, "\n")
		addrs, err := net.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			parts["addresses"] += fmt.Sprint(l.Attrs().Name, " ", a.IPNet, "\n")
		}
	}
	routes, err := net.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		parts["routes"] += r.String() + "\n"
	}
	rules, err := net.RuleList(netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		parts["rules"] += r.String() + "\n"
	}
}

// mustDump gives a map's elements, in order.
func mustDump(t *testing.T, pin string) string {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if kind := m.Type(); kind == ebpf.PerCPUArray || kind == ebpf.PerCPUHash {
		return "" // what a CPU works with, or counts
	}
	var out []string
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	zero := strings.Repeat("00", len(value))
	it := m.Iterate()
	for it.Next(&key, &value) {
		if v := fmt.Sprintf("%x", value); v != zero {
			out = append(out, fmt.Sprintf("%x=%s", key, v))
		}
	}
	if err := it.Err(); err != nil {
		t.Fatalf("%s: %v", pin, err)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// mustBeEverything waits until all is as it was: the last sessions of probes end by their timeouts.
func (s *stage) mustBeEverything(t *testing.T, before everything) {
	t.Helper()
	after := s.everything(t)
	defer func() {
		for name, is := range after.parts {
			if is != before.parts[name] {
				t.Errorf("%s: it is\n%s\nit was\n%s", name, is, before.parts[name])
			}
		}
	}()
	lab.Eventually(t, "all to be as before", func() bool {
		after = s.everything(t)
		return after.is == before.is
	})
}
