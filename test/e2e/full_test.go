package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/api"
)

// The worst together: the table is full of established flows, a colour drains, and people want to log in.
func TestAFullTableADrainAndNewLoginsBreakNobodyWhoWasIn(t *testing.T) {
	s := mustStage(t, setting{maxFlows: small, timeouts: calm})
	tab, floods := s.table(t), s.floods(t)
	const players = 100
	s.fleet.Add(t.Context(), players, s.role())
	s.fleet.Exchange(1)
	s.fill(t, tab, floods)
	_, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service})
	if refusal := new(api.Error); !errors.As(err, &refusal) || refusal.Code != api.Refused || !strings.Contains(refusal.Error(), "of max_flows 1024 are used") {
		t.Errorf("a flip into a full table: %v, want that it is refused, with figures", err)
	}
	if _, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service, Force: true}); err != nil {
		t.Fatal(err)
	}
	w := s.watchDrain(t)

	refused := s.dropsOf(t, tab, bpf.ProgramReasonDROP_TABLE_FULL)
	for range small {
		floods.client(s.endpoints[0].Addr).says(t, syn)
	}
	eventually(t, "SYNs that cannot be pinned to be dropped and counted", func() bool {
		return s.dropsOf(t, tab, bpf.ProgramReasonDROP_TABLE_FULL) > refused
	})
	s.tryToLogIn(t)
	s.fleet.Exchange(2)
	s.mustNotBreak(t)
	if n := s.fleet.Totals().Colours["blue"]; n != 2*players {
		t.Errorf("%d sessions play on blue, want %d", n, 2*players)
	}
	s.fleet.Logout(players)
	s.mustNotBreak(t)
	s.mustBeInconclusive(t, w)
	// Flows without a pin can go on for no longer than the longest timeout. It becomes a short one, and passes.
	const brief = "{tcp: 5s, tcp_half_open: 5s, tcp_closing: 2s, udp: 3s, udp_new: 2s, reuse_after: 5s}"
	s.configure(t, setting{maxFlows: small, timeouts: brief}.withDefaults().yaml(s.lab))
	s.reload(t)
	w.mustEnd(t)
}

// fill takes every place of the table for an established flow, until some flow has found none.
func (s *stage) fill(t *testing.T, tab table, f *floods) {
	t.Helper()
	for s.generation(t, blue).Unpinned == 0 {
		for range 32 {
			c := f.client(s.endpoints[1].Addr)
			c.datagram(t)
			c.datagram(t)
		}
		f.breathe(t)
		tab.establish(t)
	}
	if st := s.swept(t); st.Tables[0].Overflow == 0 || st.Tables[0].Used < small || st.Reasons["event_unpinned"]+st.Reasons["drop_table_full"] == 0 {
		t.Errorf("status says of a full table: %+v, %v", st.Tables[0], st.Reasons)
	}
}

func (s *stage) dropsOf(t *testing.T, tab table, reason bpf.ProgramReason) uint64 {
	t.Helper()
	n, err := tab.plane.Tables.Reason(reason)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tryToLogIn has players come who may not get in: they are nobody's who was in.
func (s *stage) tryToLogIn(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	for range 20 {
		conn, err := s.lab.Client.Dial(ctx, "tcp", s.endpoints[0].Addr)
		if err == nil {
			conn.Close()
		}
	}
}

// mustBeInconclusive checks that the drain does not end, and says why.
func (s *stage) mustBeInconclusive(t *testing.T, w *watch) {
	t.Helper()
	s.swept(t)
	s.swept(t)
	w.mustWait(t)
	g := s.generation(t, blue)
	if g.State != api.StateInconclusive || !strings.Contains(g.Reason, "flow table was full") || g.Unpinned == 0 {
		t.Errorf("status of a generation that had flows without a pin: %s %q, %d unpinned", g.State, g.Reason, g.Unpinned)
	}
}
