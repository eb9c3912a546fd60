package e2e

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/maps"
)

// table is a second look at the flow table that a daemon's data plane has pinned.
type table struct{ plane *loader.Plane }

func (s *stage) table(t *testing.T) table {
	t.Helper()
	plane, err := loader.Open(loader.Options{Dir: s.host.Options().BPFDir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return table{plane}
}

// flow is a client's entry, expired or not. Tests that use it give each of their sessions a port of its own.
func (tab table) flow(client netip.AddrPort) (maps.Flow, bool) {
	for f := range tab.plane.Tables.Flows() {
		if f.Client == client {
			return f, true
		}
	}
	return maps.Flow{}, false
}

// state is that of a client's entry, "" when it has none.
func (tab table) state(client netip.AddrPort) string {
	f, ok := tab.flow(client)
	if !ok {
		return ""
	}
	return maps.StateName(f.State)
}

// fallSilent makes a client's entry look as if its last packet had come that long ago.
func (tab table) fallSilent(t *testing.T, client netip.AddrPort, since time.Duration) {
	t.Helper()
	tab.quieten(t, client, tab.plane.Ticks.Of(since))
}

// forget lets every timeout of a client's entry have passed, if it has one.
func (tab table) forget(t *testing.T, client netip.AddrPort) {
	t.Helper()
	now, err := tab.plane.Now()
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := tab.flow(client); ok {
		old := tab.plane.Tables.Meta(f.Family, f.Slot)
		tab.plane.Tables.SwapMeta(f.Family, f.Slot, old, old.WithSeen(now-tab.plane.Ticks.Of(24*time.Hour)))
	}
}

// quieten makes a client's entry look as if its last packet had come that many ticks ago.
func (tab table) quieten(t *testing.T, client netip.AddrPort, ticks uint32) {
	t.Helper()
	now, err := tab.plane.Now()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "an entry to age", func() bool {
		f, ok := tab.flow(client)
		if !ok {
			t.Fatalf("%s has no entry", client)
		}
		old := tab.plane.Tables.Meta(f.Family, f.Slot)
		return tab.plane.Tables.SwapMeta(f.Family, f.Slot, old, old.WithSeen(now-ticks))
	})
}
